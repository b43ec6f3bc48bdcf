import { client } from "./client"

export async function approved(user: string, salon: string) {
  await client.schema("audit").from("audit_logs").insert({ event_type: "approve", severity: "info", user_id: user })
  const { data } = await client.schema("audit").from("audit_logs").select("id, event_type")
  await client.schema("audit").rpc("log_action", { p_entity_type: "salon", p_entity_id: salon, p_action: "approve" })
  return data?.map((entry) => entry.event_type)
}
