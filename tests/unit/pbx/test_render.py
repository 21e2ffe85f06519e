"""The rendered city: what the committed files say, and that nothing slips into them."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agi.server import MAX_CALLS
from pbx.asterisk.dialplan import faults, read_dialplan
from pbx.asterisk.phones import baresip_account, settings_text
from pbx.asterisk.render import ladder, render_city
from pbx.asterisk.secrets import Secrets
from pbx.model.city import City, Network, Operator, Queue, read_city
from pbx.model.policy import Mode, Policy, Treatment

CONFIG = Path(__file__).parents[3] / "asterisk-config"
CITY = read_city((CONFIG / "city.toml").read_text(), source="city.toml")
SECRETS = Secrets.placeholders(CITY)
PLAN = render_city(CITY, SECRETS)["extensions.conf"]


def rendered(city: City) -> dict[str, str]:
    return render_city(city, Secrets.placeholders(city))


def with_flow(**values: object) -> City:
    flow = CITY.flows["filter0"].model_copy(update=values)
    return CITY.model_copy(update={"flows": {"filter0": flow}})


def with_network(**values: object) -> City:
    network = CITY.network.model_copy(update=values)
    return CITY.model_copy(update={"network": network})


def section(text: str, name: str) -> str:
    """The body of `[name]…` in a rendered file."""
    found = re.search(
        rf"^\[{re.escape(name)}\][^\n]*\n(.*?)(?=^\[|\Z)", text, re.M | re.S
    )
    assert found, f"[{name}] is not there"
    return found[1]


def test_the_committed_rendering_is_what_this_code_renders() -> None:
    committed = {p.name: p.read_text() for p in (CONFIG / "rendered").glob("*.conf")}
    assert committed == rendered(CITY), (
        "out of date; run `gerbang render --into asterisk-config/rendered`, review it"
    )


def test_no_secret_is_committed_and_every_secret_is_rendered() -> None:
    files = render_city(
        CITY,
        Secrets(
            {"control": "S3CRET-c"}, {n: f"S3CRET-{n}" for n in ["101", "102", "103"]}
        ),
    )
    places = {name for name, text in files.items() if "S3CRET" in text}
    assert places == {"manager.conf", "pjsip.conf"}
    assert "S3CRET" not in "".join(rendered(CITY).values())


def test_an_operator_without_password_is_not_rendered_silently() -> None:
    with pytest.raises(Exception, match="101"):
        render_city(CITY, Secrets({"control": "x"}, {}))


# -- the dialplan ------------------------------------------------------------------


def test_every_callers_path_leads_to_a_queue() -> None:
    assert faults(read_dialplan(PLAN)) == []


def test_we_hang_up_after_a_release_and_after_a_conversation_only() -> None:
    plan = read_dialplan(PLAN)
    hangs = [
        context
        for context, extensions in plan.contexts.items()
        for steps in extensions.values()
        for step in steps
        if step.application == "Hangup"
    ]
    assert hangs == ["release-filter0", "served"]


def test_a_flow_that_releases_nobody_has_no_release_at_all() -> None:
    city = with_flow(filter=Policy(silent=Treatment.OPERATOR))
    text = rendered(city)["extensions.conf"]
    assert text.count("Hangup(") == 2  # `served`, and an operator's own call
    assert not [c for c in read_dialplan(text).contexts if c.startswith("release-")]
    assert faults(read_dialplan(text)) == []


def test_callers_are_remembered_only_where_a_flow_releases() -> None:
    """AstDB writes each to disk; whom nobody releases nobody need remember."""
    kind = CITY.flows["filter0"].filter.model_copy(
        update={"silent": Treatment.LOW_PRIORITY}
    )
    assert "DB(called" not in rendered(with_flow(filter=kind))["extensions.conf"]
    assert "DB(called" in PLAN


def test_nobody_is_released_past_the_switch_and_the_drop_budget() -> None:
    steps = read_dialplan(PLAN).contexts["release-filter0"]["s"]
    told = [f"{s.application}({s.arguments})" for s in steps]
    guards = ['filter-off)}" = "1"]?off)', 'filter-shadow)}" = "1"]?shadow)', "?spent)"]
    places = [next(i for i, t in enumerate(told) if t.endswith(g)) for g in guards]
    remembered = next(i for i, t in enumerate(told) if "DB(${FAMILY}/${CALLER})" in t)
    assert places == sorted(places)
    assert places[-1] < remembered < told.index("Hangup(16)")
    assert PLAN.count("n,Set(LEFT=$[60 - ") == 1


def test_a_filter_declared_off_asks_nobody_and_one_in_the_shadow_releases_nobody() -> (
    None
):
    for mode in (Mode.OFF, Mode.SHADOW):
        policy = CITY.flows["filter0"].filter.model_copy(update={"mode": mode})
        plan = read_dialplan(rendered(with_flow(filter=policy))["extensions.conf"])
        assert faults(plan) == []
        assert "release-filter0" not in plan.contexts
        start = plan.contexts["filter-filter0"]["s"]
        intake = next(s for s in start if s.label == "intake")
        assert (intake.arguments == "off") == (mode is Mode.OFF)


def test_the_safe_answer_is_set_before_the_intake_is_asked() -> None:
    steps = read_dialplan(PLAN).contexts["filter-filter0"]["s"]
    told = [f"{s.application}({s.arguments})" for s in steps]
    asked = next(i for i, line in enumerate(told) if line.startswith("AGI("))
    for before in (
        "Set(INTAKE=failed)",
        "Set(INTAKE_ROUTE=queue)",
        "Set(AGIEXITONHANGUP=yes)",
        "Set(TIMEOUT(absolute)=40)",
        "Answer()",
    ):
        assert told.index(before) < asked
    assert told[asked] == (
        "AGI(agi://127.0.0.1:4573/intake,${DIALLED},filter0,${TRUNK},${REPEAT}"
        ",${LEFT},${IDLE})"
    )


@pytest.mark.parametrize(
    ("broken", "by", "complaint"),
    [
        ("exten => T,1,CEL", "exten => Q,1,CEL", "has no extension T"),
        (" same => n,Goto(s,1)\n", " same => n,Hangup()\n", "ends a citizen's call"),
        (" same => n,Goto(s,1)\n", "", "there is no such place"),
        ("n,Goto(waiting,s,1)", "n,Goto(nowhere,s,1)", "'nowhere,s,1', which does not"),
        ("?done)", "?gone)", "jumps to 'gone', which does not exist"),
        ("exten => 112,1,Set(", "exten => 112,1,Congestion(", "ends a citizen's call"),
        ("[rescue]", "[saved]", "[rescue] is missing"),
        ("Queue(", "NoOp(", "no way leads to a queue"),
        ("Queue(", "Hangup(", "ends a citizen's call"),
        (' & "${CHANNEL(hangupsource)}" != ""', "", "without asking who hung up"),
    ],
)
def test_a_dialplan_that_could_lose_a_caller_is_found(
    broken: str, by: str, complaint: str
) -> None:
    assert broken in PLAN
    text = PLAN.replace(broken, by)
    assert any(complaint in fault for fault in faults(read_dialplan(text)))


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nexten => s,1,Dial",
        "[a]\nnonsense",
        "[a]\nexten => s,1,A()\nexten => s,1,B()",
    ],
)
def test_what_the_reader_does_not_understand_it_does_not_pass(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d"):
        read_dialplan(text)


def test_who_comes_out_of_a_queue_is_asked_why() -> None:
    """The line behind each Queue(): a conversation that somebody ended is over."""
    plan = read_dialplan(PLAN)
    stays = 0
    for queue in CITY.queues:
        steps = plan.contexts[f"queue-{queue.name}"]["s"]
        for before, stay, behind in zip(steps, steps[1:], steps[2:], strict=False):
            if stay.application == "Queue":
                stays += 1
                assert ",ric," in stay.arguments
                assert before.arguments == "QUEUESTATUS="  # nothing of an older stay
                assert behind.arguments.endswith("?served,s,1")
    assert stays == 5


def test_there_are_media_ports_for_more_calls_than_we_filter() -> None:
    """Waiting callers must not take the ports that operators' legs need."""
    for network in (CITY.network, Network()):
        ports = network.rtp_last_port - network.rtp_first_port + 1
        assert ports >= 4 * MAX_CALLS * network.intake_workers


def test_foreign_text_is_used_nowhere_but_inside_filter() -> None:
    """Taken whole into SAID first, and cleaned by that name: in `${FILTER(a,${text})}`
    a `):` of the text would cut it. `pres` and what the intake says have neither."""
    ours = re.compile(r"\$\{(CALLERID\(pres\)|INTAKE_QUEUE|INTAKE_PRIORITY)\}")
    foreign = re.compile(r"\$\{(?:CALLERID|PJSIP_HEADER|EXTEN)\b|\bREPLACE\(SAID,")
    for line in PLAN.splitlines():
        told = line.split(";")[0]
        for match in ours.finditer(told):
            assert re.search(r"FILTER\([^$]*$", told[: match.start()]), line
        for match in foreign.finditer(ours.sub("", told)):
            before = ours.sub("", told)[: match.start()]
            if match[0].startswith("REPLACE"):
                assert re.search(r"FILTER\([^$]*\$\{$", before), line
            else:
                assert before.endswith("Set(SAID="), line


def test_what_was_said_is_handed_on_only_once_it_has_no_colon() -> None:
    known = {
        "Set(SAID=${SAID:120})",
        "URIENCODE(${SAID:0:120})",
        "LEN(${SAID})",
    }
    text = re.sub("|".join(map(re.escape, known)), "", PLAN)
    left = "\n".join(line.split(";")[0] for line in text.splitlines())
    assert not re.search(r"\$\{SAID\b", left)
    steps = read_dialplan(PLAN).contexts["filter-filter0"]["s"]
    told = [step.arguments for step in steps]
    for i, line in enumerate(told):
        if line.startswith("SAID=${PJSIP_HEADER("):
            assert r",${REPLACE(SAID,:,\x01)})}" in told[i + 1]


def test_our_variables_do_not_hide_behind_asterisks_own() -> None:
    """`${PRIORITY}` is where the dialplan is, whatever Set(PRIORITY=…) said."""
    own = {"PRIORITY", "EXTEN", "CONTEXT", "CHANNEL", "UNIQUEID", "EPOCH", "HINT"}
    assert not own & set(re.findall(r"Set\(([A-Z_]+)=", PLAN))


def test_no_quotes_or_commas_in_what_facts_tell() -> None:
    told = re.findall(r"CELGenUserEvent\(([A-Z_]+),(.*)\)", PLAN)
    assert {name for name, _ in told} == {
        "OFFERED", "VERDICT", "DEGRADED", "RESCUED", "RELEASED", "QUEUED",
        "QUEUE_LEFT", "CALLER", "RECORDING",
    }  # fmt: skip
    assert not [extra for _, extra in told if '"' in extra or "," in extra]


def test_operators_reach_each_other_and_the_agencies_only() -> None:
    reach = read_dialplan(PLAN).contexts["from-operators"]
    dialled = {
        exten: [s.arguments.split(",")[0] for s in steps if s.application == "Dial"]
        for exten, steps in reach.items()
    }
    assert {e: d[0] for e, d in dialled.items() if d} == {
        "101": "PJSIP/101",
        "102": "PJSIP/102",
        "103": "PJSIP/103",
        "119": "PJSIP/119@carrier",
        "113": "PJSIP/113@carrier",
    }
    text = "".join(s.arguments for steps in reach.values() for s in steps)
    assert not re.search(r"Dial\([^)]*EXTEN", text)


# -- the ladder --------------------------------------------------------------------


def test_the_ladder_ends_in_patience() -> None:
    rungs = ladder(CITY, CITY.queue("darurat"))
    assert [(r.queue, r.seconds) for r in rungs] == [
        ("darurat", 60), ("cadangan", 21), ("darurat-patient", 60),
    ]  # fmt: skip
    assert {r.declared for r in rungs} == {"darurat", "cadangan"}


def test_the_patient_queue_keeps_callers_and_rings_everybody() -> None:
    text = rendered(CITY)["queues.conf"]
    assert "joinempty = yes" in section(text, "patient")
    assert "leavewhenempty = no" in section(text, "patient")
    members = re.findall(
        r"^member => PJSIP/(\d+)", section(text, "darurat-patient"), re.M
    )
    assert members == ["101", "102", "103"]
    assert "ringall" not in text


# -- SIP, manager, modules ---------------------------------------------------------


def test_trunks_are_known_by_address_and_nobody_is_anonymous() -> None:
    text = rendered(CITY)["pjsip.conf"]
    assert "endpoint_identifier_order = ip,username" in text
    assert "\n[anonymous]" not in text
    trunk = section(text, "carrier")
    assert "identify_by = ip" in trunk
    assert "rtp_timeout = 0" in trunk
    assert "match = 127.0.0.2/32" in section(text, "carrier-identify")


def test_a_tls_operator_gets_srtp_and_the_others_do_not() -> None:
    text = rendered(CITY)["pjsip.conf"]
    assert "media_encryption = sdes" in section(text, "103")
    assert "media_encryption" not in section(text, "101")


@pytest.mark.parametrize(
    ("address", "bind", "media"),
    [
        ("192.0.2.10", "bind = 192.0.2.10:5060", "media_address = 192.0.2.10"),
        ("2001:db8::1", "bind = [2001:db8::1]:5060", "media_address = 2001:db8::1"),
        ("0.0.0.0", "bind = 0.0.0.0:5060", None),
        ("::", "bind = [::]:5060", None),
    ],
)
def test_addresses(address: str, bind: str, media: str | None) -> None:
    text = rendered(with_network(sip_address=address))["pjsip.conf"]
    assert bind in text
    assert (media in text) if media else ("media_address" not in text)


def test_an_ipv6_carrier_stands_in_brackets() -> None:
    trunk = CITY.trunks[0].model_copy(update={"addresses": ["2001:db8::7"]})
    text = rendered(CITY.model_copy(update={"trunks": [trunk]}))["pjsip.conf"]
    assert "contact = sip:[2001:db8::7]:5060" in text


def test_the_manager_grants_no_way_to_run_programs() -> None:
    parser = configparser.ConfigParser(
        inline_comment_prefixes=(";",), comment_prefixes=(";",)
    )
    parser.read_string(rendered(CITY)["manager.conf"])
    assert parser["general"]["bindaddr"] == "127.0.0.1"
    for user in set(parser.sections()) - {"general"}:
        rights = set(parser[user]["write"].split(","))
        assert not rights & {
            "system",
            "command",
            "originate",
            "config",
            "all",
            "dialplan",
        }


def test_nothing_is_loaded_unasked() -> None:
    text = rendered(CITY)["modules.conf"]
    assert "autoload = no" in text
    names = re.findall(r"^(?:load|require) = (\w+)\.so$", text, re.M)
    assert len(names) == len(set(names))
    for never in (
        "app_system",
        "func_shell",
        "app_originate",
        "res_http_websocket",
        "res_pjsip_endpoint_identifier_anonymous",
        "res_ari",
        "pbx_spool",
    ):
        assert never not in names


# -- what names can do -------------------------------------------------------------

ODD = st.text(
    st.characters(
        exclude_categories=("C", "Zl", "Zp"), exclude_characters='<>"\\;[]|,$`{}'
    ),
    min_size=1,
    max_size=60,
).filter(lambda text: not text[0].isspace())


@settings(max_examples=40, deadline=None)
@given(title=ODD)
def test_titles_change_no_line_but_their_own(title: str) -> None:
    """Whatever a title says, no file gains or loses a setting."""
    document = CITY.model_dump()
    document["city"]["name"] = title
    for kind, key in (
        ("queues", "title"),
        ("operators", "name"),
        ("destinations", "name"),
    ):
        for thing in document[kind]:
            thing[key] = title
    files = rendered(City.model_validate(document))
    for name, text in rendered(CITY).items():
        assert shape(files[name]) == shape(text)


def shape(text: str) -> list[str]:
    """The settings of a file without titles: what Asterisk acts on."""
    bare = [line.split(";")[0].rstrip() for line in text.split("\n")]
    bare = [re.sub(r"^(callerid = ).* <", r"\1<", line) for line in bare]
    return [re.sub(r"^(member => [^,]+,0),.*,", r"\1,", line) for line in bare]


# -- phones ------------------------------------------------------------------------


def test_what_an_operator_enters_in_a_softphone() -> None:
    udp, _, tls = CITY.operators
    told = settings_text(CITY, udp, "pass-word")
    assert "127.0.0.1:5060" in told
    assert "pass-word" in told
    assert "mediaenc" not in told
    assert "127.0.0.1:5061;transport=tls" in baresip_account(CITY, tls, "x")
    assert "mediaenc=srtp" in baresip_account(CITY, tls, "x")
    six = with_network(sip_address="2001:db8::1")
    assert "[2001:db8::1]:5060" in settings_text(six, udp, "x")


def test_two_numbers_two_flows_and_a_queue_without_overflow() -> None:
    document = CITY.model_dump()
    document["flows"]["plain"] = document["flows"]["filter0"] | {"filter": {}}
    document["numbers"].append(
        {"number": "+62112", "flow": "plain", "queue": "cadangan", "priority": 0}
    )
    city = City.model_validate(document)
    plan = read_dialplan(rendered(city)["extensions.conf"])
    assert faults(plan) == []
    assert plan.contexts["from-trunk"]["+62112"][-1].arguments == "filter-plain,s,1"
    assert "release-plain" not in plan.contexts
    assert isinstance(city.queues[1], Queue)
    assert isinstance(city.operators[0], Operator)
