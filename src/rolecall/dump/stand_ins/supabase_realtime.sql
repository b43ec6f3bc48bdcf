-- The publication of Supabase's Realtime, without tables. The dump adds them.

CREATE PUBLICATION supabase_realtime;
