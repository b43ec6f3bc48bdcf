/**
 * Every table, view and function of the migrations, used as an application uses it. It is compiled and never run.
 *
 * `is<T>()` also fails if a result is `any`, which would hide every other mistake.
 */

import type { SupabaseClient } from "@supabase/supabase-js"
import type { Database, Json, Tables, TablesInsert } from "./database.types.ts"

type Client = SupabaseClient<Database>
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Takes a value whose type is exactly `Expected`. */
function is<Expected>() {
  return <Actual>(value: Actual, ..._same: Same<Actual, Expected> extends true ? [] : [never]): Actual => value
}

// ------------------------------------------------------------------ booking

export async function bookServices(client: Client, appointment: string, service: Tables<{ schema: "catalog" }, "services">) {
  const { data: minutes } = await client
    .schema("catalog")
    .rpc("calculate_duration_minutes", { p_service_ids: [service.id] })
  is<number | null>()(minutes)
  const line: TablesInsert<{ schema: "scheduling" }, "appointment_services"> = {
    appointment_id: appointment,
    service_id: service.id,
    service_name: service.name,
    duration_minutes: minutes,
    price_at_time: 49.9,
  }
  const { data: booked } = await client.schema("scheduling").from("appointment_services").insert(line).select().single()
  is<Tables<{ schema: "scheduling" }, "appointment_services"> | null>()(booked)
}

export async function linesOfAppointment(client: Client, appointment: string) {
  const { data } = await client
    .schema("scheduling")
    .from("appointment_services")
    .select("service_name, price_at_time, appointments (scheduled_date)")
    .eq("appointment_id", appointment)
    .order("created_at")
  type Line = {
    service_name: string | null
    price_at_time: number | null
    appointments: { scheduled_date: string | null }
  }
  is<Line[] | null>()(data)
}

export async function reassign(client: Client, line: string, staff: string | null) {
  await client.schema("scheduling").from("appointment_services").update({ staff_id: staff }).eq("id", line)
  await client.schema("scheduling").from("appointment_services").delete().eq("id", line)
}

export async function opensAt(client: Client, salon: string, date: string) {
  const { data } = await client
    .schema("scheduling")
    .rpc("calculate_business_hours", { p_salon_id: salon, p_date: date })
    .maybeSingle()
  is<string | undefined>()(data?.start_time)
  is<number | undefined>()(data?.total_working_minutes)
}

export async function blockedTimes(client: Client, salon: string) {
  const { data } = await client
    .schema("scheduling")
    .from("view_blocked_times_with_relations")
    .select("blocked_from, blocked_until, staff_username, appointment_date")
    .eq("appointment_salon_id", salon)
    .eq("is_deleted", false)
  is<string | null | undefined>()(data?.[0]?.staff_username)
}

export async function bookingRules(client: Client, service: string, salon: string) {
  const rules = client.schema("catalog").from("service_booking_rules")
  const { data } = await rules.insert({ service_id: service, salon_id: salon, min_notice_minutes: 60 }).select().single()
  is<number | null | undefined>()(data?.max_advance_days)
  await rules.update({ requires_deposit: true, deposit_amount: 20 }).eq("service_id", service)
  const { data: found } = await rules.select("auto_confirm, services (name)").eq("service_id", service).maybeSingle()
  is<string | undefined>()(found?.services.name)
}

// ------------------------------------------------------------------ messages and notifications

export async function startThread(client: Client, from: string, to: string) {
  const threads = client.schema("communication").from("message_threads")
  const { data } = await threads
    .insert({ created_by_id: from, recipient_id: to, subject: "Tuesday" })
    .select("id, unread_count")
    .single()
  is<{ id: string; unread_count: number | null } | null>()(data)
  await threads.update({ is_archived: true, unread_count: 0 }).eq("recipient_id", to)
  await threads.delete().eq("created_by_id", from)
}

export async function notify(client: Client, user: string) {
  const { data } = await client.schema("communication").rpc("send_notification", {
    p_recipient_id: user,
    p_message: "Your salon has been approved",
    p_notification_type: "salon_approval",
    p_metadata: { salon: "Curls" },
  })
  is<Json>()(data)
}

export async function inbox(client: Client, user: string) {
  const communication = client.schema("communication")
  const { data: page } = await communication.rpc("get_notifications_page", { p_user_id: user, p_limit: 10 })
  is<string | undefined>()(page?.[0]?.message)
  const { data: unread } = await communication.rpc("get_unread_count", { p_user_id: user })
  is<number | null>()(unread)
  const { data: byType } = await communication.rpc("get_unread_counts", { p_user_id: user })
  is<{ notification_type: string; unread_count: number }[] | null>()(byType)
  const ids = page?.map((each) => each.id)
  const { data: read } = await communication.rpc("mark_notifications_read", { p_user_id: user, p_notification_ids: ids })
  is<number | null>()(read)
  const { data: full } = await communication.from("view_notifications").select().eq("recipient_id", user)
  is<Tables<{ schema: "communication" }, "view_notifications">[] | null>()(full)
}

// ------------------------------------------------------------------ favourites and reviews

export async function favourite(client: Client, customer: string, salon: string) {
  const favourites = client.schema("engagement").from("customer_favorites")
  await favourites.insert({ customer_id: customer, salon_id: salon, rating: 5 })
  await favourites.update({ notes: "Ask for Ana" }).eq("salon_id", salon)
  await favourites.delete().eq("salon_id", salon)
  const { data } = await client.schema("engagement").from("customer_favorites_view").select("salon_name, rating")
  is<{ salon_name: string | null; rating: number | null }[] | null>()(data)
}

export async function reviews(client: Client, salon: string) {
  const { data } = await client
    .schema("engagement")
    .from("salon_reviews_with_counts_view")
    .select("content, rating, total_reviews, average_rating")
    .eq("salon_id", salon)
  is<number | null | undefined>()(data?.[0]?.average_rating)
}

// ------------------------------------------------------------------ audit

export async function audit(client: Client, actor: string, salon: string) {
  const { data: id } = await client.schema("audit").rpc("log_action", {
    p_entity_type: "salon",
    p_entity_id: salon,
    p_action: "approve",
    p_new_values: { status: "approved" },
  })
  is<string | null>()(id)
  await client.schema("audit").from("audit_logs").insert({ entity_type: "salon", action: "approve", actor_id: actor })
  const { data } = await client
    .schema("audit")
    .from("audit_logs_view")
    .select("action, actor_username, new_values")
    .order("created_at", { ascending: false })
  is<{ action: string | null; actor_username: string | null; new_values: Json | null }[] | null>()(data)
}

// ------------------------------------------------------------------ profiles

export async function profile(client: Client, user: string) {
  const { data } = await client.schema("identity").from("view_profile_metadata").select().eq("id", user).maybeSingle()
  is<Tables<{ schema: "identity" }, "view_profile_metadata"> | null>()(data)
  const { data: preferences } = await client
    .schema("identity")
    .from("view_user_preferences")
    .select("email_notifications_enabled, booking_reminder_minutes")
    .eq("user_id", user)
    .maybeSingle()
  is<number | null | undefined>()(preferences?.booking_reminder_minutes)
}

/** The bucket has no types of its own: a path is a string. */
export async function uploadAvatar(client: Client, user: string, picture: Blob) {
  const { data } = await client.storage.from("avatars").upload(`${user}/avatar.png`, picture, { upsert: true })
  is<string | undefined>()(data?.path)
}
