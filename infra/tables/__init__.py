"""The register's tables.

`entries` is the truth. Tables in PROJECTIONS follow from it alone: they are written only by the projections of `jobs/projections/`, in
the transaction that appends the event, and can be rebuilt from the entries at any time. The others are the tree over the entries, content
that entries name by digest, and the working notes of the queue.

Losses are integers: pico-rho (1e-12) and atto-delta (1e-18). Times are RFC 3339 text in UTC with microseconds, as in the event: text
compares the same on every database, byte for byte.
"""

from __future__ import annotations

from sqlalchemy import Table

from infra.tables.alerts import alert_rules as alert_rules
from infra.tables.alerts import alert_things as alert_things
from infra.tables.alerts import alerts as alerts
from infra.tables.alerts import watch_cursor as watch_cursor
from infra.tables.alerts import watch_notes as watch_notes
from infra.tables.authority import freezes as freezes
from infra.tables.authority import policy_versions as policy_versions
from infra.tables.authority import rule_packs as rule_packs
from infra.tables.base import CAP_LIMIT as CAP_LIMIT
from infra.tables.base import Digest as Digest
from infra.tables.base import Id as Id
from infra.tables.base import Time as Time
from infra.tables.base import metadata as metadata
from infra.tables.data import dataset_versions as dataset_versions
from infra.tables.data import datasets as datasets
from infra.tables.data import destructions as destructions
from infra.tables.fees import fee_bodies as fee_bodies
from infra.tables.fees import fee_counts as fee_counts
from infra.tables.fees import fee_items as fee_items
from infra.tables.fees import fee_lines as fee_lines
from infra.tables.fees import fee_shares as fee_shares
from infra.tables.fees import fee_totals as fee_totals
from infra.tables.fees import fees as fees
from infra.tables.fees import settlement_shares as settlement_shares
from infra.tables.fees import settlements as settlements
from infra.tables.ledger import account_days as account_days
from infra.tables.ledger import accounts as accounts
from infra.tables.ledger import charge_accounts as charge_accounts
from infra.tables.ledger import charges as charges
from infra.tables.licences import licence_consents as licence_consents
from infra.tables.licences import licence_versions as licence_versions
from infra.tables.licences import licences as licences
from infra.tables.log import documents as documents
from infra.tables.log import entries as entries
from infra.tables.log import log_hashes as log_hashes
from infra.tables.log import log_head as log_head
from infra.tables.log import openings as openings
from infra.tables.people import api_keys as api_keys
from infra.tables.people import credential_uses as credential_uses
from infra.tables.people import lockouts as lockouts
from infra.tables.people import once as once
from infra.tables.people import principals as principals
from infra.tables.people import sessions as sessions
from infra.tables.people import subjects as subjects
from infra.tables.products import entitlements as entitlements
from infra.tables.products import product_releases as product_releases
from infra.tables.products import product_versions as product_versions
from infra.tables.products import products as products
from infra.tables.products import running_schedules as running_schedules
from infra.tables.products import schedule_runs as schedule_runs
from infra.tables.products import schedules as schedules
from infra.tables.programs import program_reviews as program_reviews
from infra.tables.programs import programs as programs
from infra.tables.releases import answered as answered
from infra.tables.releases import answers as answers
from infra.tables.releases import deliveries as deliveries
from infra.tables.releases import metering as metering
from infra.tables.releases import release_days as release_days
from infra.tables.releases import releases as releases
from infra.tables.releases import usage_months as usage_months
from infra.tables.reports import kept_orders as kept_orders
from infra.tables.reports import report_files as report_files
from infra.tables.reports import report_orders as report_orders
from infra.tables.reports import reports as reports
from infra.tables.reviews import approvals as approvals
from infra.tables.reviews import conflicts as conflicts
from infra.tables.reviews import duties as duties
from infra.tables.reviews import holds as holds
from infra.tables.reviews import output_views as output_views
from infra.tables.reviews import review_jobs as review_jobs
from infra.tables.reviews import review_votes as review_votes
from infra.tables.reviews import reviews as reviews
from infra.tables.reviews import standings as standings
from infra.tables.webhooks import webhook_attempts as webhook_attempts
from infra.tables.webhooks import webhook_cursor as webhook_cursor
from infra.tables.webhooks import webhook_messages as webhook_messages
from infra.tables.webhooks import webhooks as webhooks
from infra.tables.work import job_months as job_months
from infra.tables.work import jobs as jobs
from infra.tables.work import leases as leases

PROJECTIONS: tuple[Table, ...] = (
    principals,
    api_keys,
    subjects,
    sessions,
    datasets,
    dataset_versions,
    destructions,
    licences,
    licence_versions,
    licence_consents,
    accounts,
    jobs,
    job_months,
    charges,
    charge_accounts,
    account_days,
    releases,
    release_days,
    answered,
    answers,
    metering,
    usage_months,
    products,
    product_versions,
    product_releases,
    entitlements,
    schedules,
    running_schedules,
    schedule_runs,
    deliveries,
    fees,
    fee_lines,
    fee_shares,
    fee_totals,
    fee_items,
    fee_bodies,
    fee_counts,
    settlements,
    settlement_shares,
    freezes,
    policy_versions,
    rule_packs,
    programs,
    program_reviews,
    duties,
    conflicts,
    reviews,
    holds,
    review_jobs,
    review_votes,
    output_views,
    approvals,
    standings,
    reports,
    report_files,
    report_orders,
    kept_orders,
    alerts,
    alert_things,
    alert_rules,
)
