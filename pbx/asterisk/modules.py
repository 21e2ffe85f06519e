"""Asterisk's modules we load, and why. What is not listed is not there."""

from __future__ import annotations

MODULES: dict[str, tuple[str, ...]] = {
    "The dialplan: without it there is no 112, so its failure ends Asterisk": (
        "pbx_config",
    ),
    "Clock, configuration objects, phones' contacts kept over a restart": (
        "res_timing_timerfd",
        "res_sorcery_config",
        "res_sorcery_memory",
        "res_sorcery_astdb",
    ),
    "SIP": (
        "res_pjproject",
        "res_pjsip",
        "res_pjsip_pubsub",  # chan_pjsip will not load without it
        "res_pjsip_session",
        "res_pjsip_authenticator_digest",
        "res_pjsip_endpoint_identifier_ip",
        "res_pjsip_endpoint_identifier_user",
        "res_pjsip_registrar",
        "res_pjsip_caller_id",
        "res_pjsip_dlg_options",
        "res_pjsip_dtmf_info",
        "res_pjsip_empty_info",
        "res_pjsip_header_funcs",
        "res_pjsip_logger",
        "res_pjsip_nat",
        "res_pjsip_refer",
        "res_pjsip_rfc3326",
        "res_pjsip_sdp_rtp",
        "chan_pjsip",
    ),
    "Audio": (
        "res_rtp_asterisk",
        "res_srtp",
        "codec_alaw",
        "codec_ulaw",
        "codec_resample",
        "format_pcm",
        "format_wav",
        "bridge_simple",
        "bridge_builtin_features",
        "bridge_softmix",
    ),
    "The intake's doors, and the degraded mode without it": (
        "res_speech",  # res_agi will not load without it
        "res_agi",
        "res_audiosocket",
        "app_audiosocket",
        "app_talkdetect",
        "app_waitforsilence",  # WaitForNoise, after the goodbye
        "app_exec",
        "app_db",
    ),
    "The queue and the phones": (
        "res_musiconhold",
        "app_dial",
        "app_queue",
        "app_mixmonitor",
    ),
    "The journal, and who tried to get in": (
        "res_cdrel_custom",
        "cel_custom",
        "app_celgenuserevent",
        "res_security_log",
    ),
    "Dialplan functions": (
        "func_callerid",
        "func_channel",
        "func_cut",
        "func_db",
        "func_env",
        "func_lock",
        "func_logic",
        "func_strings",
        "func_timeout",
        "func_uri",
    ),
}
"""Purpose → modules, in the order they are loaded."""
