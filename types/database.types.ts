export type Json =
  | string
  | number
  | boolean
  | null
  | { [key: string]: Json | undefined }
  | Json[]

export type Database = {
  audit: {
    Tables: {
      audit_logs: {
        Row: {
          action: string
          actor_id: string | null
          change_summary: string | null
          created_at: string | null
          entity_id: string | null
          entity_type: string
          id: string
          ip_address: unknown
          metadata: Json | null
          new_values: Json | null
          old_values: Json | null
          reason: string | null
          source_system: string | null
          user_agent: string | null
        }
        Insert: {
          action: string
          actor_id?: string | null
          change_summary?: string | null
          created_at?: string | null
          entity_id?: string | null
          entity_type: string
          id?: string
          ip_address?: unknown
          metadata?: Json | null
          new_values?: Json | null
          old_values?: Json | null
          reason?: string | null
          source_system?: string | null
          user_agent?: string | null
        }
        Update: {
          action?: string
          actor_id?: string | null
          change_summary?: string | null
          created_at?: string | null
          entity_id?: string | null
          entity_type?: string
          id?: string
          ip_address?: unknown
          metadata?: Json | null
          new_values?: Json | null
          old_values?: Json | null
          reason?: string | null
          source_system?: string | null
          user_agent?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      audit_logs_view: {
        Row: {
          action: string | null
          actor_email: string | null
          actor_id: string | null
          actor_username: string | null
          created_at: string | null
          entity_id: string | null
          entity_type: string | null
          id: string | null
          new_values: Json | null
          old_values: Json | null
          reason: string | null
        }
        Relationships: []
      }
    }
    Functions: {
      log_action: {
        Args: {
          p_action: string
          p_entity_id: string
          p_entity_type: string
          p_new_values?: Json
          p_old_values?: Json
          p_reason?: string
        }
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
  catalog: {
    Tables: {
      service_booking_rules: {
        Row: {
          auto_confirm: boolean | null
          bookable_by_staff_only: boolean | null
          created_at: string | null
          deposit_amount: number | null
          id: string
          max_advance_days: number | null
          max_concurrent_bookings: number | null
          min_notice_minutes: number | null
          requires_deposit: boolean | null
          salon_id: string
          service_id: string
          updated_at: string | null
        }
        Insert: {
          auto_confirm?: boolean | null
          bookable_by_staff_only?: boolean | null
          created_at?: string | null
          deposit_amount?: number | null
          id?: string
          max_advance_days?: number | null
          max_concurrent_bookings?: number | null
          min_notice_minutes?: number | null
          requires_deposit?: boolean | null
          salon_id: string
          service_id: string
          updated_at?: string | null
        }
        Update: {
          auto_confirm?: boolean | null
          bookable_by_staff_only?: boolean | null
          created_at?: string | null
          deposit_amount?: number | null
          id?: string
          max_advance_days?: number | null
          max_concurrent_bookings?: number | null
          min_notice_minutes?: number | null
          requires_deposit?: boolean | null
          salon_id?: string
          service_id?: string
          updated_at?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "service_booking_rules_service_id_fkey"
            columns: ["service_id"]
            isOneToOne: false
            referencedRelation: "services"
            referencedColumns: ["id"]
          },
        ]
      }
      services: {
        Row: {
          created_at: string | null
          duration_range: string | null
          id: string
          is_active: boolean | null
          name: string
          salon_id: string | null
          updated_at: string | null
        }
        Insert: {
          created_at?: string | null
          duration_range?: string | null
          id?: string
          is_active?: boolean | null
          name: string
          salon_id?: string | null
          updated_at?: string | null
        }
        Update: {
          created_at?: string | null
          duration_range?: string | null
          id?: string
          is_active?: boolean | null
          name?: string
          salon_id?: string | null
          updated_at?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      [_ in never]: never
    }
    Functions: {
      calculate_duration_minutes: {
        Args: { p_service_ids: string[] }
        Returns: number
      }
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
        Row: {
          appointment_id: string | null
          created_at: string | null
          created_by_id: string
          description: string | null
          id: string
          is_archived: boolean | null
          is_deleted: boolean | null
          last_message_at: string | null
          metadata: Json | null
          recipient_id: string
          salon_id: string | null
          subject: string | null
          unread_count: number | null
          updated_at: string | null
        }
        Insert: {
          appointment_id?: string | null
          created_at?: string | null
          created_by_id: string
          description?: string | null
          id?: string
          is_archived?: boolean | null
          is_deleted?: boolean | null
          last_message_at?: string | null
          metadata?: Json | null
          recipient_id: string
          salon_id?: string | null
          subject?: string | null
          unread_count?: number | null
          updated_at?: string | null
        }
        Update: {
          appointment_id?: string | null
          created_at?: string | null
          created_by_id?: string
          description?: string | null
          id?: string
          is_archived?: boolean | null
          is_deleted?: boolean | null
          last_message_at?: string | null
          metadata?: Json | null
          recipient_id?: string
          salon_id?: string | null
          subject?: string | null
          unread_count?: number | null
          updated_at?: string | null
        }
        Relationships: []
      }
      notifications: {
        Row: {
          created_at: string | null
          id: string
          message: string | null
          metadata: Json | null
          notification_type: string | null
          read_at: string | null
          updated_at: string | null
          user_id: string | null
        }
        Insert: {
          created_at?: string | null
          id?: string
          message?: string | null
          metadata?: Json | null
          notification_type?: string | null
          read_at?: string | null
          updated_at?: string | null
          user_id?: string | null
        }
        Update: {
          created_at?: string | null
          id?: string
          message?: string | null
          metadata?: Json | null
          notification_type?: string | null
          read_at?: string | null
          updated_at?: string | null
          user_id?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      view_notifications: {
        Row: {
          created_at: string | null
          id: string | null
          message: string | null
          metadata: Json | null
          notification_type: string | null
          read_at: string | null
          recipient_avatar: string | null
          recipient_email: string | null
          recipient_id: string | null
          recipient_username: string | null
          updated_at: string | null
        }
        Relationships: []
      }
    }
    Functions: {
      get_notifications_page: {
        Args: { p_limit?: number; p_offset?: number; p_user_id: string }
        Returns: {
          created_at: string
          id: string
          message: string
          notification_type: string
          read_at: string
          user_id: string
        }[]
      }
      get_unread_count: { Args: { p_user_id: string }; Returns: number }
      get_unread_counts: {
        Args: { p_user_id: string }
        Returns: {
          notification_type: string
          unread_count: number
        }[]
      }
      mark_notifications_read: {
        Args: { p_notification_ids?: string[]; p_user_id: string }
        Returns: number
      }
      send_notification: {
        Args: {
          p_message: string
          p_metadata?: Json
          p_notification_type: string
          p_recipient_id: string
        }
        Returns: Json
      }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
  engagement: {
    Tables: {
      customer_favorites: {
        Row: {
          created_at: string | null
          created_by_id: string | null
          customer_id: string
          id: string
          is_favorite: boolean | null
          notes: string | null
          rating: number | null
          salon_id: string
          updated_at: string | null
          updated_by_id: string | null
        }
        Insert: {
          created_at?: string | null
          created_by_id?: string | null
          customer_id: string
          id?: string
          is_favorite?: boolean | null
          notes?: string | null
          rating?: number | null
          salon_id: string
          updated_at?: string | null
          updated_by_id?: string | null
        }
        Update: {
          created_at?: string | null
          created_by_id?: string | null
          customer_id?: string
          id?: string
          is_favorite?: boolean | null
          notes?: string | null
          rating?: number | null
          salon_id?: string
          updated_at?: string | null
          updated_by_id?: string | null
        }
        Relationships: []
      }
      salon_reviews: {
        Row: {
          content: string | null
          created_at: string | null
          customer_id: string | null
          id: string
          rating: number | null
          salon_id: string | null
          status: string | null
          updated_at: string | null
        }
        Insert: {
          content?: string | null
          created_at?: string | null
          customer_id?: string | null
          id?: string
          rating?: number | null
          salon_id?: string | null
          status?: string | null
          updated_at?: string | null
        }
        Update: {
          content?: string | null
          created_at?: string | null
          customer_id?: string | null
          id?: string
          rating?: number | null
          salon_id?: string | null
          status?: string | null
          updated_at?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      customer_favorites_view: {
        Row: {
          created_at: string | null
          customer_id: string | null
          description: string | null
          id: string | null
          image_url: string | null
          notes: string | null
          rating: number | null
          salon_id: string | null
          salon_name: string | null
          salon_slug: string | null
          updated_at: string | null
        }
        Relationships: []
      }
      salon_reviews_with_counts_view: {
        Row: {
          average_rating: number | null
          content: string | null
          created_at: string | null
          customer_id: string | null
          five_star_count: number | null
          four_star_count: number | null
          id: string | null
          one_star_count: number | null
          rating: number | null
          salon_id: string | null
          status: string | null
          three_star_count: number | null
          total_reviews: number | null
          two_star_count: number | null
          updated_at: string | null
        }
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
  identity: {
    Tables: {
      profiles: {
        Row: {
          avatar_url: string | null
          created_at: string | null
          email: string | null
          full_name: string | null
          id: string
          metadata: Json | null
          updated_at: string | null
          username: string | null
        }
        Insert: {
          avatar_url?: string | null
          created_at?: string | null
          email?: string | null
          full_name?: string | null
          id?: string
          metadata?: Json | null
          updated_at?: string | null
          username?: string | null
        }
        Update: {
          avatar_url?: string | null
          created_at?: string | null
          email?: string | null
          full_name?: string | null
          id?: string
          metadata?: Json | null
          updated_at?: string | null
          username?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      view_profile_metadata: {
        Row: {
          account_status: string | null
          avatar_url: string | null
          created_at: string | null
          email: string | null
          full_name: string | null
          id: string | null
          interests: Json | null
          preferences: Json | null
          social_links: Json | null
          tags: Json | null
          updated_at: string | null
          username: string | null
        }
        Insert: {
          account_status?: never
          avatar_url?: string | null
          created_at?: string | null
          email?: string | null
          full_name?: string | null
          id?: string | null
          interests?: never
          preferences?: never
          social_links?: never
          tags?: never
          updated_at?: string | null
          username?: string | null
        }
        Update: {
          account_status?: never
          avatar_url?: string | null
          created_at?: string | null
          email?: string | null
          full_name?: string | null
          id?: string | null
          interests?: never
          preferences?: never
          social_links?: never
          tags?: never
          updated_at?: string | null
          username?: string | null
        }
        Relationships: []
      }
      view_user_preferences: {
        Row: {
          booking_auto_confirm: boolean | null
          booking_reminder_minutes: number | null
          email_notifications_enabled: boolean | null
          marketing_newsletter_enabled: boolean | null
          marketing_promotions_enabled: boolean | null
          preferences_updated_at: string | null
          profile_public: boolean | null
          push_notifications_enabled: boolean | null
          show_reviews: boolean | null
          sms_notifications_enabled: boolean | null
          user_id: string | null
          username: string | null
        }
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
  organization: {
    Tables: {
      salons: {
        Row: {
          created_at: string | null
          description: string | null
          id: string
          image_url: string | null
          name: string
          owner_id: string | null
          slug: string | null
          updated_at: string | null
        }
        Insert: {
          created_at?: string | null
          description?: string | null
          id?: string
          image_url?: string | null
          name: string
          owner_id?: string | null
          slug?: string | null
          updated_at?: string | null
        }
        Update: {
          created_at?: string | null
          description?: string | null
          id?: string
          image_url?: string | null
          name?: string
          owner_id?: string | null
          slug?: string | null
          updated_at?: string | null
        }
        Relationships: []
      }
      staff_profiles: {
        Row: {
          created_at: string | null
          id: string
          salon_id: string | null
          user_id: string | null
        }
        Insert: {
          created_at?: string | null
          id?: string
          salon_id?: string | null
          user_id?: string | null
        }
        Update: {
          created_at?: string | null
          id?: string
          salon_id?: string | null
          user_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "staff_profiles_salon_id_fkey"
            columns: ["salon_id"]
            isOneToOne: false
            referencedRelation: "salons"
            referencedColumns: ["id"]
          },
        ]
      }
    }
    Views: {
      [_ in never]: never
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
  public: {
    Tables: {
      [_ in never]: never
    }
    Views: {
      [_ in never]: never
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
  scheduling: {
    Tables: {
      appointment_services: {
        Row: {
          appointment_id: string
          created_at: string | null
          created_by_id: string | null
          duration_minutes: number | null
          id: string
          price_at_time: number | null
          service_id: string
          service_name: string | null
          staff_id: string | null
          updated_at: string | null
          updated_by_id: string | null
        }
        Insert: {
          appointment_id: string
          created_at?: string | null
          created_by_id?: string | null
          duration_minutes?: number | null
          id?: string
          price_at_time?: number | null
          service_id: string
          service_name?: string | null
          staff_id?: string | null
          updated_at?: string | null
          updated_by_id?: string | null
        }
        Update: {
          appointment_id?: string
          created_at?: string | null
          created_by_id?: string | null
          duration_minutes?: number | null
          id?: string
          price_at_time?: number | null
          service_id?: string
          service_name?: string | null
          staff_id?: string | null
          updated_at?: string | null
          updated_by_id?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "appointment_services_appointment_id_fkey"
            columns: ["appointment_id"]
            isOneToOne: false
            referencedRelation: "appointments"
            referencedColumns: ["id"]
          },
        ]
      }
      appointments: {
        Row: {
          created_at: string | null
          customer_id: string | null
          id: string
          salon_id: string | null
          scheduled_date: string | null
          updated_at: string | null
        }
        Insert: {
          created_at?: string | null
          customer_id?: string | null
          id?: string
          salon_id?: string | null
          scheduled_date?: string | null
          updated_at?: string | null
        }
        Update: {
          created_at?: string | null
          customer_id?: string | null
          id?: string
          salon_id?: string | null
          scheduled_date?: string | null
          updated_at?: string | null
        }
        Relationships: []
      }
      blocked_times: {
        Row: {
          appointment_id: string | null
          blocked_from: string | null
          blocked_until: string | null
          created_at: string | null
          id: string
          is_deleted: boolean | null
          reason: string | null
          staff_id: string | null
          updated_at: string | null
        }
        Insert: {
          appointment_id?: string | null
          blocked_from?: string | null
          blocked_until?: string | null
          created_at?: string | null
          id?: string
          is_deleted?: boolean | null
          reason?: string | null
          staff_id?: string | null
          updated_at?: string | null
        }
        Update: {
          appointment_id?: string | null
          blocked_from?: string | null
          blocked_until?: string | null
          created_at?: string | null
          id?: string
          is_deleted?: boolean | null
          reason?: string | null
          staff_id?: string | null
          updated_at?: string | null
        }
        Relationships: [
          {
            foreignKeyName: "blocked_times_appointment_id_fkey"
            columns: ["appointment_id"]
            isOneToOne: false
            referencedRelation: "appointments"
            referencedColumns: ["id"]
          },
        ]
      }
      operating_hours: {
        Row: {
          break_end: string | null
          break_start: string | null
          day_of_week: number | null
          end_time: string | null
          id: string
          is_active: boolean | null
          is_open: boolean | null
          salon_id: string | null
          start_time: string | null
        }
        Insert: {
          break_end?: string | null
          break_start?: string | null
          day_of_week?: number | null
          end_time?: string | null
          id?: string
          is_active?: boolean | null
          is_open?: boolean | null
          salon_id?: string | null
          start_time?: string | null
        }
        Update: {
          break_end?: string | null
          break_start?: string | null
          day_of_week?: number | null
          end_time?: string | null
          id?: string
          is_active?: boolean | null
          is_open?: boolean | null
          salon_id?: string | null
          start_time?: string | null
        }
        Relationships: []
      }
    }
    Views: {
      view_blocked_times_with_relations: {
        Row: {
          appointment_customer_id: string | null
          appointment_date: string | null
          appointment_id: string | null
          appointment_salon_id: string | null
          blocked_from: string | null
          blocked_until: string | null
          created_at: string | null
          id: string | null
          is_deleted: boolean | null
          reason: string | null
          staff_email: string | null
          staff_id: string | null
          staff_user_id: string | null
          staff_username: string | null
          updated_at: string | null
        }
        Relationships: [
          {
            foreignKeyName: "blocked_times_appointment_id_fkey"
            columns: ["appointment_id"]
            isOneToOne: false
            referencedRelation: "appointments"
            referencedColumns: ["id"]
          },
        ]
      }
    }
    Functions: {
      calculate_business_hours: {
        Args: { p_date: string; p_salon_id: string }
        Returns: {
          break_end: string
          break_start: string
          day_name: string
          end_time: string
          is_open: boolean
          start_time: string
          total_working_minutes: number
        }[]
      }
    }
    Enums: {
      [_ in never]: never
    }
    CompositeTypes: {
      [_ in never]: never
    }
  }
}

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">

type DefaultSchema = DatabaseWithoutInternals[Extract<keyof Database, "public">]

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
        DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? (DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"] &
      DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Views"])[TableName] extends {
      Row: infer R
    }
    ? R
    : never
  : DefaultSchemaTableNameOrOptions extends keyof (DefaultSchema["Tables"] &
        DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] &
        DefaultSchema["Views"])[DefaultSchemaTableNameOrOptions] extends {
        Row: infer R
      }
      ? R
      : never
    : never

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Insert: infer I
    }
    ? I
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Insert: infer I
      }
      ? I
      : never
    : never

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends (DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"]
    : never) = never,
> = DefaultSchemaTableNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]]["Tables"][TableName] extends {
      Update: infer U
    }
    ? U
    : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
        Update: infer U
      }
      ? U
      : never
    : never

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends (DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"]
    : never) = never,
> = DefaultSchemaEnumNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][EnumName]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
    : never

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends (PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals
  }
    ? keyof DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"]
    : never) = never,
> = PublicCompositeTypeNameOrOptions extends {
  schema: keyof DatabaseWithoutInternals
}
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]]["CompositeTypes"][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
    : never

export const Constants = {
  audit: {
    Enums: {},
  },
  catalog: {
    Enums: {},
  },
  communication: {
    Enums: {},
  },
  engagement: {
    Enums: {},
  },
  identity: {
    Enums: {},
  },
  organization: {
    Enums: {},
  },
  public: {
    Enums: {},
  },
  scheduling: {
    Enums: {},
  },
} as const
