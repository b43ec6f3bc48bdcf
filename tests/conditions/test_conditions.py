"""The world has a row and a persona for each condition of the SQL.

What cannot decide in any world has a reason here.
"""

from rolecall import World
from rolecall.conditions.report import Conditions

THREADS = "communication.message_threads"
SERVICES = "scheduling.appointment_services"

# The policy of appointments already shows a persona no other appointment: this policy repeats its conditions, so that
# the database can find the services by an index.
VIEW = "Users view appointment services for their appointments"
OF_APPOINTMENTS = "the policy of scheduling.appointments has the same condition"
REPEATED = (
    "a.customer_id = (SELECT auth.uid())",
    "a.salon_id = ANY(ARRAY(SELECT sp.salon_id FROM organization.staff_profiles sp WHERE sp.user_id = "
    "(SELECT auth.uid()) UNI…",
    "sp.user_id = (SELECT auth.uid())",
    "s.owner_id = (SELECT auth.uid())",
)
POLICIES = {
    f'{THREADS} "Users can create threads" WITH CHECK | created_by_id <> recipient_id | false never decides': (
        "the CHECK valid_participants has the same condition: the table has no such row"
    ),
    **{
        f'{SERVICES} "{VIEW}" USING | {condition} | {value} never decides': OF_APPOINTMENTS
        for condition in REPEATED
        for value in ("false", "NULL")
    },
}

PREFERENCES = "identity.view_user_preferences"
VIEWS = {
    **{
        f"{PREFERENCES} | (input.booleans -> word.{name})::boolean | NULL never decides": "the default is also true"
        for name in ("email", "push", "show_reviews")
    },
    **{
        f"{PREFERENCES} | word.reminder_minutes::bigint {bound} | NULL never decides": "NULL minutes get the default"
        for bound in (">= '-2147483648'::int", "<= 2147483647")
    },
}

HOURS = "scheduling.calculate_business_hours()"
FUNCTIONS = {
    "communication.send_notification() | p_message = '' | NULL never decides": "p_message IS NULL stands before it",
    f"{HOURS} | oh.end_time <= oh.start_time | NULL never decides": "a day added to NULL is NULL",
    f"{HOURS} | oh.break_end < oh.break_start | NULL never decides": "a day added to NULL is NULL",
}


def test_every_condition_of_a_policy_decides(rolecall_conditions: Conditions) -> None:
    rolecall_conditions.check("policies", cannot_decide=POLICIES)


def test_every_condition_of_a_view_decides(rolecall_conditions: Conditions) -> None:
    rolecall_conditions.check("views", cannot_decide=VIEWS)


def test_every_condition_of_a_function_decides(rolecall_conditions: Conditions, world: World) -> None:
    moves = [
        f"UPDATE {SERVICES} SET appointment_id = '{appointment['id']}' WHERE id = '{service['id']}'"
        for service in (
            world.row(SERVICES, "customer at the salon"),
            world.row(SERVICES, "customer at the other salon"),
        )
        for appointment in world.rows["scheduling.appointments"].values()
    ]
    calls = {
        "communication.soft_delete_thread": [f"DELETE FROM {THREADS}"],
        "scheduling.keep_appointment_service_in_its_salon": [*moves, f"UPDATE {SERVICES} SET appointment_id = NULL"],
    }
    rolecall_conditions.check("functions", calls=calls, cannot_decide=FUNCTIONS)
