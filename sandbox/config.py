"""The demo's `onefold.yaml`: two live SCIM tenants, an HR export, Jira and Confluence to be kept in line."""

from __future__ import annotations

TEMPLATE = """\
# Made for the demo; `onefold check` explains what is wrong with it, `onefold schema` what else it could say.
directory: demo                       # permanent: person ids are made from it
state: .onefold
timezone: UTC

precedence: [corp, acquired{rank}, hr]      # corp decides about people whom both tenants know

tenants:
  corp:
    kind: scim
    mode: live
    url: {corp_url}
    token: env:DEMO_SCIM_TOKEN
    verified_domains: [corp.example]
    employee_number_issuer: acme      # one numbering for the whole company: equal numbers are one human
  acquired:
    kind: scim
    mode: live
    url: {acquired_url}
    token: env:DEMO_SCIM_TOKEN
    verified_domains: [acquired.example]
    employee_number_issuer: acme
  hr:
    kind: files
    mode: live
    may: [attributes]                 # it tells titles and departments; it creates nobody and removes nobody
    employee_number_issuer: acme
    accounts:
      glob: "{hr_glob}"
      pick: newest
      max_age: 36h
      min_rows: 100
      columns:
        native_id: employee_id
        employee_number: employee_id
        given_name: first_name
        family_name: last_name
        email: work_email
        title: job_title
        ends_on: last_day
{partner}
{targets}

adopt: {{by: [employee_number, verified_email, user_name], ambiguous: hold}}   # Confluence shows no addresses
attributes:
  title: {{prefer: [hr]}}
  department: {{prefer: [hr]}}
scope: "coalesce(person.user_type, 'member') = 'member'"  # externals are known, and get nothing
map:
  user_name: "split_part(person.email, '@', 1)"   # names new users only; existing ones keep theirs
  rename: false
groups:
  - {{from: {{tenant: corp, name: "Jira-*"}}, to: "lower(group_name)", members: add_only{jira}, join: true}}
  - {{from: {{tenant: acquired, name: "Jira-*"}}, to: "lower(group_name)", members: add_only{jira}, join: true}}
  - {{from: {{tenant: corp, name: "Confluence-*"}}, to: "lower(group_name)", members: add_only{confluence}}}
limits:
  create_user: {{floor: 500}}           # the first fill of two empty directories is no surprise here
  add_member: {{floor: 2000}}
protect: {{users: [svc-*, build.bot]}}
"""
PARTNER = """\
  partner:                            # pushes SCIM to `onefold serve`; its token: `onefold token new partner`
    kind: inbox
    mode: live
    may: [create, update, deactivate, groups, attributes]
    verified_domains: [partner.example]
run:
  scheduled: apply_safe               # a push starts a run that may write what no guard holds
  after_push: {quiet: 3s}             # the default gathers 30 s of joiners; leavers wait for 2 s here as there
"""
RULE = """
  - {from: {tenant: partner, name: "Jira-*"}, to: "lower(group_name)", members: add_only, targets: [jira]}"""
TARGETS = """\
targets:
  jira:
    kind: jira_dc
    mode: apply
    url: {jira_url}
    token: env:DEMO_JIRA_TOKEN
    rate: 200                         # requests a second; a stand-in has no users who could feel it
    applications: [jira-software]
  confluence:
    kind: confluence_dc
    mode: apply
    url: {confluence_url}
    token: env:DEMO_CONFLUENCE_TOKEN
    rate: 200
    users_from: own"""


def demo_config(
    *,
    corp_url: str,
    acquired_url: str,
    hr_glob: str,
    jira_url: str | None,
    confluence_url: str | None,
    partner: bool = False,
) -> str:
    """The text of `onefold.yaml`. `hr_glob` is relative to it. Without both target URLs Onefold only consolidates.

    `partner`: a third tenant, which pushes SCIM; it needs both targets.

    It refers to `DEMO_SCIM_TOKEN`, and with targets to `DEMO_JIRA_TOKEN` and `DEMO_CONFLUENCE_TOKEN`.
    """
    both = jira_url and confluence_url
    return TEMPLATE.format(
        corp_url=corp_url,
        acquired_url=acquired_url,
        hr_glob=hr_glob,
        targets=TARGETS.format(jira_url=jira_url, confluence_url=confluence_url) if both else "targets: {}",
        jira=", targets: [jira]" if both else "",
        confluence=", targets: [confluence]" if both else "",
        rank=", partner" if partner else "",
        partner=PARTNER if partner else "",
        rule=RULE if partner else "",
    )
