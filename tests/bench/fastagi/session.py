"""What both servers do in a session, and what Asterisk sends to open one."""

from __future__ import annotations

COMMANDS = (
    ("SET VARIABLE", "INTAKE", "started"),
    ("GET VARIABLE", "CALL_UUID"),
    ("EXEC", "NoOp", "bench"),
    ("SET VARIABLE", "INTAKE", "done"),
)
"""As many as an ordinary call of ours needs, and no audio."""

REPLY = b"200 result=0\n"

SCRIPT = "intake"


def opening(serial: int, port: int) -> bytes:
    """The lines Asterisk opens a session with: res_agi.c, setup_env()."""
    return (
        "agi_network: yes\n"
        f"agi_network_script: {SCRIPT}\n"
        f"agi_request: agi://127.0.0.1:{port}/{SCRIPT}\n"
        f"agi_channel: PJSIP/carrier-{serial:08x}\n"
        "agi_language: id\n"
        "agi_type: PJSIP\n"
        f"agi_uniqueid: kediri-1-1763756000.{serial}\n"
        "agi_version: 22.10.1\n"
        "agi_callerid: 081234567890\n"
        "agi_calleridname: unknown\n"
        "agi_callingpres: 0\n"
        "agi_callingani2: 0\n"
        "agi_callington: 0\n"
        "agi_callingtns: 0\n"
        "agi_dnid: 112\n"
        "agi_rdnis: unknown\n"
        "agi_context: from-trunk\n"
        "agi_extension: 112\n"
        "agi_priority: 12\n"
        "agi_enhanced: 0.0\n"
        "agi_accountcode: \n"
        "agi_threadid: 140213388703424\n"
        "agi_arg_1: 112\n"
        "agi_arg_2: filter0\n"
        "agi_arg_3: carrier\n"
        "agi_arg_4: 0\n"
        "\n"
    ).encode()
