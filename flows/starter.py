"""The commented configuration that `onefold init` writes."""

STARTER = """\
# Onefold: many identity tenants in, one Jira and Confluence directory out.
# `onefold check` validates this file; `onefold schema` prints its JSON Schema.
# Nothing is written to a target before its mode is `apply` and you approved the adoption of what it holds.

directory: example                    # permanent: person ids are made from it
state: .onefold                       # state.duckdb, control.sqlite, landing/, snapshots/
timezone: UTC                         # governs starts_on / ends_on and schedules

precedence: [corp, hr]                # whose word counts more; the first is the highest

tenants:
  corp:
    kind: scim                        # pull from any SCIM 2.0 server
    mode: observe                     # observe: read and shown | add_only: never removes | live
    url: https://idp.corp.example/scim/v2
    token: env:CORP_SCIM_TOKEN        # secrets are references only: env:NAME, file:PATH, prefect:BLOCK
    verified_domains: [corp.example]  # addresses under these join accounts of one human
  hr:
    kind: files                       # CSV, JSONL or Parquet
    mode: observe
    may: [attributes]                 # an export tells us titles; it never removes anybody
    accounts:
      glob: hr/*.csv
      pick: newest
      max_age: 36h
      min_rows: 1
      columns: {native_id: emp_no, employee_number: emp_no, email: mail, title: job_title}

targets:
  jira:
    kind: jira_dc
    mode: plan_only                   # plan_only until you trust the plans, then apply
    url: https://jira.corp.example
    token: env:JIRA_TOKEN             # a personal access token of a Jira administrator
    applications: [jira-software]     # new users get access to these

adopt:
  by: [employee_number, verified_email]   # how users that Jira holds already are paired with persons; Confluence needs user_name

# attributes:                         # whose value stands; see docs/survivorship.md
#   title: {prefer: [hr]}
#   display_name: {fallback: ["trim(concat_ws(' ', person.given_name, person.family_name))", user_name]}
# status: {leave: as_account}         # or active, inactive: people on leave

scope: "account.user_type = 'member'" # who is desired; everyone is matched
map:
  user_name: "split_part(person.email, '@', 1)"   # names new accounts only
  rename: false

groups:
  - {from: {tenant: corp, name: "jira-*"}, to: "lower(group_name)", members: add_only}   # exact also removes
  # - {from: {tenant: corp, everyone: true}, to: "'jira-users'"}                          # everybody of a tenant
  # - {join: [{tenant: corp, name: devs}, {tenant: acquired, name: dev}], to: "'devs'", combine: union}   # docs/groups.md
"""
