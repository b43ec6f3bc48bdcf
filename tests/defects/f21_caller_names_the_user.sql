-- F21: four functions answer for any user that the caller names
-- caught by: tests/attacks/test_arguments.py::test_no_answer_shows_hidden_values
-- caught by: tests/functions/test_mark_notifications_read.py::test_the_customers_notifications_as[other_customer]
-- caught by: tests/functions/test_get_unread_count.py::test_the_customers_count_as[other_customer]
-- caught by: tests/functions/test_get_unread_count.py::test_an_unknown_user_is_refused
-- caught by: tests/functions/test_get_unread_counts.py::test_the_customers_counts_as[no_subject]
-- caught by: tests/functions/test_get_notifications_page.py::test_the_customers_page_as[owner]
CREATE OR REPLACE FUNCTION communication.mark_notifications_read(
  p_user_id uuid,
  p_notification_ids uuid[] DEFAULT NULL
) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  WITH marked AS (
    UPDATE communication.notifications n
    SET read_at = now(), updated_at = now()
    WHERE n.user_id = p_user_id
      AND n.read_at IS NULL
      AND (p_notification_ids IS NULL OR n.id = ANY (p_notification_ids))
    RETURNING n.id
  )
  SELECT count(*)::integer FROM marked;
$$;

CREATE OR REPLACE FUNCTION communication.get_unread_count(p_user_id uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*)
  FROM communication.notifications n
  WHERE n.user_id = p_user_id AND n.read_at IS NULL;
$$;

CREATE OR REPLACE FUNCTION communication.get_unread_counts(p_user_id uuid)
RETURNS TABLE (notification_type varchar, unread_count bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT n.notification_type::varchar, count(*)
  FROM communication.notifications n
  WHERE n.user_id = p_user_id AND n.read_at IS NULL
  GROUP BY n.notification_type
  ORDER BY n.notification_type;
$$;

CREATE OR REPLACE FUNCTION communication.get_notifications_page(
  p_user_id uuid,
  p_limit integer DEFAULT 20,
  p_offset integer DEFAULT 0
) RETURNS TABLE (
  id uuid,
  user_id uuid,
  message text,
  notification_type varchar,
  read_at timestamptz,
  created_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT n.id, n.user_id, n.message, n.notification_type::varchar, n.read_at, n.created_at
  FROM communication.notifications n
  WHERE n.user_id = p_user_id
  ORDER BY n.created_at DESC NULLS LAST, n.id DESC
  LIMIT p_limit
  OFFSET p_offset;
$$;
