import { createClient } from "@supabase/supabase-js"
import type { Database } from "../lib/database.types"

export const client = createClient<Database>("http://localhost:54321", "a key")
export type Audit = Database["audit"]["Tables"]["audit_logs"]["Row"]
export type Thread = Database["communication"]["Tables"]["message_threads"]["Row"]
