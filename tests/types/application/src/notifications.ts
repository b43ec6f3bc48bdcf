import { client } from "./client"

export async function notify(user: string) {
  const communication = client.schema("communication")
  await communication.rpc("send_notification", { p_user_id: user, p_title: "Hi", p_message: "Hello", p_type: "greeting" })
  await communication.rpc("get_unread_count", { p_user_id: user })
  const { data } = await communication.rpc("get_unread_counts", { p_user_id: user })
  await communication.from("view_notifications").insert({ message: "Hello" })
  return data?.[0]?.total
}

// An error of the application's own, which stays.
export const wrong: number = "a text"

// An error that is gone with the migrations: the application's types lack the function.
export const read = client.schema("communication").rpc("mark_notifications_read", { p_user_id: "a user" })
