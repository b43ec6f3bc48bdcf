/** The client's example of the migration plan. It must not compile: tests/types/test_compiles.py has its errors. */

import { createClient } from "@supabase/supabase-js"
import type { Database } from "../database.types.ts"

const supabase = createClient<Database>("http://localhost:54321", "a key")
const userId = "00000000-0000-4000-8000-000000000000"

// As the plan has it.
const { data } = await supabase.rpc("communication.send_notification", {
  recipient_id: userId,
  message: "Your salon has been approved",
  notification_type: "salon_approval",
})

// With the schema where supabase-js takes it from: the parameters still have other names.
const { data: second } = await supabase.schema("communication").rpc("send_notification", {
  recipient_id: userId,
  message: "Your salon has been approved",
  notification_type: "salon_approval",
})

export { data, second }
