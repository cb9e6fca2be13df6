"""The bureau's acts: each checks what must hold, appends its events in one transaction, and returns what the caller needs to show.

`by` is the principal who acts, or "system" for the one who runs the server's own command line. Which role may do which act is checked
at the door (`policies.roles`); what is checked here holds whoever acts.
"""

from __future__ import annotations

from jobs.acts.alerts import acknowledge_alert as acknowledge_alert
from jobs.acts.alerts import change_alert_rules as change_alert_rules
from jobs.acts.alerts import close_alert as close_alert
from jobs.acts.alerts import propose_alert_rules as propose_alert_rules
from jobs.acts.caps import confirm_cap as confirm_cap
from jobs.acts.caps import propose_cap as propose_cap
from jobs.acts.caps import raise_cap as raise_cap
from jobs.acts.data import Lineage as Lineage
from jobs.acts.data import Source as Source
from jobs.acts.data import may_part as may_part
from jobs.acts.data import move_registration as move_registration
from jobs.acts.data import register_dataset as register_dataset
from jobs.acts.data import withdraw_dataset as withdraw_dataset
from jobs.acts.destructions import confirm_destruction as confirm_destruction
from jobs.acts.destructions import propose_destruction as propose_destruction
from jobs.acts.freezes import propose_thaw as propose_thaw
from jobs.acts.freezes import set_freeze as set_freeze
from jobs.acts.freezes import thaw as thaw
from jobs.acts.keys import confirm_appointment as confirm_appointment
from jobs.acts.keys import issue_key as issue_key
from jobs.acts.keys import propose_appointment as propose_appointment
from jobs.acts.keys import revoke_key as revoke_key
from jobs.acts.keys import rotate_key as rotate_key
from jobs.acts.licences import amend_licence as amend_licence
from jobs.acts.licences import application as application
from jobs.acts.licences import apply_licence as apply_licence
from jobs.acts.licences import consent_licence as consent_licence
from jobs.acts.licences import decline_licence as decline_licence
from jobs.acts.licences import grant_licence as grant_licence
from jobs.acts.licences import propose_licence as propose_licence
from jobs.acts.packs import change_pack as change_pack
from jobs.acts.packs import check_pack as check_pack
from jobs.acts.packs import propose_pack as propose_pack
from jobs.acts.people import close_principal as close_principal
from jobs.acts.people import register_principal as register_principal
from jobs.acts.people import resume_principal as resume_principal
from jobs.acts.people import suspend_principal as suspend_principal
from jobs.acts.policy import change_policy as change_policy
from jobs.acts.policy import propose_policy as propose_policy
from jobs.acts.products import add_version as add_version
from jobs.acts.products import deprecate_product as deprecate_product
from jobs.acts.products import describe_product as describe_product
from jobs.acts.products import draft_product as draft_product
from jobs.acts.products import end_entitlement as end_entitlement
from jobs.acts.products import entitle_builder as entitle_builder
from jobs.acts.products import propose_registration as propose_registration
from jobs.acts.products import publish_product as publish_product
from jobs.acts.products import recall_product as recall_product
from jobs.acts.products import register_product as register_product
from jobs.acts.programs import invalidate_program as invalidate_program
from jobs.acts.programs import review_program as review_program
from jobs.acts.programs import submit_program as submit_program
from jobs.acts.programs import withdraw_program as withdraw_program
from jobs.acts.schedules import continue_running as continue_running
from jobs.acts.schedules import set_running as set_running
from jobs.acts.schedules import set_schedule as set_schedule
from jobs.acts.schedules import stop_schedule as stop_schedule
from jobs.acts.sessions import close_session as close_session
from jobs.acts.sessions import link_subject as link_subject
from jobs.acts.sessions import open_session as open_session
from jobs.acts.sessions import subject_digest as subject_digest
from jobs.acts.sessions import unlink_subject as unlink_subject
from jobs.acts.terms import resume_licence as resume_licence
from jobs.acts.terms import revoke_licence as revoke_licence
from jobs.acts.terms import suspend_licence as suspend_licence
from jobs.acts.terms import sweep_licences as sweep_licences
