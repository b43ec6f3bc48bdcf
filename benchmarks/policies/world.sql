-- A large Enorae: benchmark.rows rows in each table that the plan adds, in storage.objects, notifications and reviews.
-- Run as the superuser, in a transaction. A customer has about 25 rows of each table, an average salon 4,000.

-- The same rows each time. All references are valid, so the foreign keys are not checked.
SELECT setseed(0.25);
SET LOCAL session_replication_role = replica;

CREATE TEMP TABLE size ON COMMIT DROP AS
SELECT rows, rows / 25 AS customers, rows / 2 AS appointments, salons, salons * 8 AS staff
FROM
  (SELECT current_setting('benchmark.rows')::integer AS rows) AS setting,
  LATERAL (SELECT GREATEST(rows / 4000, 30) AS salons) AS few;

-- PostgreSQL inlines these functions, because their bodies are not more volatile than declared.
CREATE FUNCTION pg_temp.key(kind text, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
AS $$ SELECT md5(kind || ' ' || number::text)::uuid $$;

-- A few salons are large and many are small: the salon at a quarter of the numbers has an average number of rows.
CREATE FUNCTION pg_temp.some_salon(salons integer) RETURNS integer LANGUAGE sql VOLATILE
AS $$ SELECT floor(salons * random() ^ 2)::integer $$;

CREATE FUNCTION pg_temp.some(things integer) RETURNS integer LANGUAGE sql VOLATILE
AS $$ SELECT floor(things * random())::integer $$;

-- Rows are in the order of their time, as if an application had inserted them one by one.
CREATE FUNCTION pg_temp.moment(number bigint, rows integer) RETURNS timestamptz LANGUAGE sql STABLE
AS $$ SELECT timestamptz '2024-01-01 00:00Z' + number * (interval '640 days' / rows) $$;

-- People, salons, services -----------------------------------------------------

INSERT INTO identity.profiles (id, username, email, full_name, metadata)
SELECT pg_temp.key(kind, n), kind || n, kind || n || '@example.org', initcap(kind) || ' ' || n,
  '{"preferences": {"notifications": {"email": "off"}, "booking": {"reminder_minutes": 60}}}'
FROM
  size,
  LATERAL (
    SELECT 'customer' AS kind, n FROM generate_series(0, customers - 1) AS n
    UNION ALL
    SELECT 'staff', n FROM generate_series(0, staff - 1) AS n
    UNION ALL
    SELECT 'owner', n FROM generate_series(0, salons - 1) AS n
    UNION ALL
    SELECT 'newcomer', 0
  ) AS people;

INSERT INTO organization.salons (id, owner_id, name, slug, description)
SELECT pg_temp.key('salon', n), pg_temp.key('owner', n), 'Salon ' || n, 'salon-' || n, 'Cuts, colours and ' || n
FROM size, generate_series(0, salons - 1) AS n;

INSERT INTO organization.staff_profiles (id, salon_id, user_id)
SELECT pg_temp.key('employment', n), pg_temp.key('salon', n / 8), pg_temp.key('staff', n)
FROM size, generate_series(0, staff - 1) AS n;

-- Customer 1 works at the salon next to the average one.
INSERT INTO organization.staff_profiles (id, salon_id, user_id)
SELECT pg_temp.key('employment', staff), pg_temp.key('salon', salons / 4 + 1), pg_temp.key('customer', 1)
FROM size;

INSERT INTO catalog.services (id, salon_id, name, duration_range, is_active)
SELECT pg_temp.key('service', n), pg_temp.key('salon', pg_temp.some_salon(salons)), 'Service ' || n,
  (15 + n % 8 * 15) * interval '1 minute', n % 10 > 0
FROM size, generate_series(0, rows - 1) AS n;

INSERT INTO scheduling.operating_hours (salon_id, day_of_week, is_open, start_time, end_time)
SELECT pg_temp.key('salon', n), day, day > 0, '09:00', '18:00'
FROM size, generate_series(0, salons - 1) AS n, generate_series(0, 6) AS day;

-- Tables of the application ---------------------------------------------------------

CREATE TEMP TABLE booking ON COMMIT DROP AS
SELECT n, pg_temp.some_salon(salons) AS salon, pg_temp.some(customers) AS customer
FROM size, generate_series(0, appointments - 1) AS n;

INSERT INTO scheduling.appointments (id, salon_id, customer_id, scheduled_date, created_at)
SELECT pg_temp.key('appointment', n), pg_temp.key('salon', salon), pg_temp.key('customer', customer),
  pg_temp.moment(n, appointments)::date + 14, pg_temp.moment(n, appointments)
FROM size, booking;

INSERT INTO scheduling.blocked_times (
  staff_id, appointment_id, reason, blocked_from, blocked_until, is_deleted, created_at
)
SELECT pg_temp.key('employment', salon * 8 + pg_temp.some(8)), CASE WHEN n % 4 > 0 THEN pg_temp.key('appointment', n) END,
  'Pause', pg_temp.moment(n, appointments), pg_temp.moment(n, appointments) + interval '1 hour', n % 10 = 0,
  pg_temp.moment(n, appointments)
FROM size, booking;

INSERT INTO communication.notifications (user_id, message, notification_type, read_at, created_at)
SELECT
  CASE
    WHEN n % 10 < 7 THEN pg_temp.key('customer', pg_temp.some(customers))
    WHEN n % 10 < 9 THEN pg_temp.key('staff', pg_temp.some(staff))
    ELSE pg_temp.key('owner', pg_temp.some_salon(salons))
  END,
  'Your appointment ' || n, (ARRAY['reminder', 'promotion', 'salon_approval', 'message'])[1 + n % 4],
  CASE WHEN n % 7 > 0 THEN pg_temp.moment(n, rows) + interval '1 hour' END, pg_temp.moment(n, rows)
FROM size, generate_series(0, rows - 1) AS n;

INSERT INTO engagement.salon_reviews (salon_id, customer_id, rating, content, status, created_at)
SELECT pg_temp.key('salon', pg_temp.some_salon(salons)), pg_temp.key('customer', pg_temp.some(customers)), 1 + n % 5,
  'It was all right, number ' || n, 'published', pg_temp.moment(n, rows)
FROM size, generate_series(0, rows - 1) AS n;

-- Tables of the plan -----------------------------------------------------------------

INSERT INTO scheduling.appointment_services (
  appointment_id, service_id, staff_id, service_name, duration_minutes, price_at_time, created_at
)
SELECT pg_temp.key('appointment', booking.n), pg_temp.key('service', pg_temp.some(rows)),
  pg_temp.key('employment', salon * 8 + pg_temp.some(8)), 'Haircut', 45, 40, pg_temp.moment(booking.n * 2 + line, rows)
FROM size, booking, generate_series(0, 1) AS line
ORDER BY booking.n;

-- Each customer writes with 25 staff members. 7919 is prime, so each number occurs once, in another order.
INSERT INTO communication.message_threads (
  created_by_id, recipient_id, subject, salon_id, appointment_id, is_archived, is_deleted, last_message_at, created_at
)
SELECT
  CASE WHEN one % 3 = 0 THEN pg_temp.key('staff', worker) ELSE pg_temp.key('customer', customer) END,
  CASE WHEN one % 3 = 0 THEN pg_temp.key('customer', customer) ELSE pg_temp.key('staff', worker) END,
  'About ' || n, pg_temp.key('salon', worker / 8),
  CASE WHEN one % 5 = 0 THEN pg_temp.key('appointment', pg_temp.some(appointments)) END,
  one % 6 = 0, one % 20 = 0,
  CASE WHEN one % 10 > 0 THEN pg_temp.moment(n, rows) + random() * interval '30 days' END, pg_temp.moment(n, rows)
FROM
  size,
  generate_series(0, rows - 1) AS n,
  LATERAL (SELECT (n * 7919::bigint % rows)::integer AS one) AS shuffled,
  LATERAL (SELECT one / 25 AS customer, (one / 25 * 13 + one % 25 * 37) % staff AS worker) AS pair;

INSERT INTO engagement.customer_favorites (customer_id, salon_id, notes, rating, is_favorite, created_at)
SELECT pg_temp.key('customer', one / 25), pg_temp.key('salon', (one / 25 * 11 + one % 25 * 7) % salons),
  'Number ' || n, 1 + n % 5, one % 10 > 0, pg_temp.moment(n, rows)
FROM
  size,
  generate_series(0, rows - 1) AS n,
  LATERAL (SELECT (n * 7919::bigint % rows)::integer AS one) AS shuffled;

INSERT INTO audit.audit_logs (entity_type, entity_id, action, actor_id, old_values, new_values, reason, created_at)
SELECT
  (ARRAY['salon', 'appointment', 'service', 'profile', 'review', 'staff', 'payment', 'booking_rule'])[1 + n % 8],
  CASE n % 8 WHEN 0 THEN pg_temp.key('salon', pg_temp.some_salon(salons))
    ELSE pg_temp.key('appointment', pg_temp.some(appointments)) END,
  (ARRAY['create', 'update', 'update', 'update', 'delete', 'approve', 'reject', 'login', 'export', 'refund'])[
    1 + pg_temp.some(10)
  ],
  CASE WHEN n % 100 = 0 THEN NULL
    WHEN n % 2 = 0 THEN pg_temp.key('staff', pg_temp.some(staff))
    WHEN n % 5 = 0 THEN pg_temp.key('owner', pg_temp.some_salon(salons))
    ELSE pg_temp.key('customer', pg_temp.some(customers)) END,
  '{"status": "new"}', '{"status": "old"}', 'Because of ' || n, pg_temp.moment(n, rows)
FROM size, generate_series(0, rows - 1) AS n;

INSERT INTO catalog.service_booking_rules (service_id, salon_id, min_notice_minutes, max_advance_days, created_at)
SELECT id, salon_id, 60, 90, pg_temp.moment(row_number() OVER (), (SELECT rows FROM size))
FROM catalog.services;

INSERT INTO storage.buckets (id, name) VALUES ('documents', 'documents');
INSERT INTO storage.objects (bucket_id, name, owner_id, created_at)
SELECT CASE WHEN n % 7 > 0 THEN 'avatars' ELSE 'documents' END, customer || '/' || n || '.png', customer,
  pg_temp.moment(n, rows)
FROM
  size,
  generate_series(0, rows - 1) AS n,
  LATERAL (SELECT pg_temp.key('customer', n * 7919::bigint % customers)::text AS customer) AS whose;
