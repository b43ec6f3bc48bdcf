// As `supabase gen types` writes it for a database that has the plan's names in other shapes.
export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[]

export type Database = {
  __InternalSupabase: {
    PostgrestVersion: "13.0.5"
  }
  audit: {
    Tables: {
      audit_logs: {
        Row: { id: string; event_type: string; severity: string; user_id: string | null }
        Insert: { id?: string; event_type: string; severity?: string; user_id?: string | null }
        Update: { id?: string; event_type?: string; severity?: string; user_id?: string | null }
        Relationships: []
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      log_action: {
        Args: {
          "p_action": string;
          "p_entity_id": string;
          "p_entity_type": string;
          "p_new_values"?: Json;
          "p_old_values"?: Json;
          "p_reason"?: string;
        };
        Returns: string;
      };
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
  communication: {
    Tables: {
      message_threads: {
        Row: { id: string; customer_id: string; status: string; priority: string | null }
        Insert: { id?: string; customer_id: string; status?: string; priority?: string | null }
        Update: { id?: string; customer_id?: string; status?: string; priority?: string | null }
        Relationships: []
      }
      // A table where the migrations make a view.
      view_notifications: {
        Row: { id: string; message: string }
        Insert: { id?: string; message: string }
        Update: { id?: string; message?: string }
        Relationships: []
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      get_unread_count: { Args: { p_user_id: string }; Returns: number }
      get_unread_counts: {
        Args: { p_user_id: string }
        Returns: { messages: number; notifications: number; total: number }[]
      }
      send_notification: {
        Args: { p_user_id: string; p_title: string; p_message: string; p_type: string }
        Returns: string
      }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
  public: {
    Tables: {
      [_ in never]: never
    }
    Views: {
      customer_favorites_view: {
        Row: { id: string | null; salon_name: string | null }
        Relationships: []
      }
    }
    Functions: {
      [_ in never]: never
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}
