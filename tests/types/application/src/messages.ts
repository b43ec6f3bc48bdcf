import { client, type Audit, type Thread } from "./client"

export async function close(thread: string) {
  await client.schema("communication").from("message_threads").update({ status: "closed" }).eq("id", thread)
}

// An error as soon as one of the two tables has another shape.
type Either = "event_type" extends keyof Audit ? ("status" extends keyof Thread ? "as before" : "other") : "other"
export const either: Either = "as before"

// An error only if both have another shape.
type Both = "event_type" extends keyof Audit ? "as before" : "status" extends keyof Thread ? "as before" : "other"
export const both: Both = "as before"
