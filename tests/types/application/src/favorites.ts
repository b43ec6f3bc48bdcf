import { client } from "./client"

// Of schema public: the view of the migrations has the same name in another schema.
export const favorites = client.from("customer_favorites_view").select("salon_name")
