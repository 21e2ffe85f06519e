"""The manager link (AMI): panoramisk, hardened. See `docs/manager-link.md`."""

from pbx.ami.link import Handler, LinkFigures, Login, ManagerLink, Timing
from pbx.ami.messages import (
    CallerLeft,
    CallerWaits,
    ChannelBridged,
    ChannelGone,
    ChannelHeld,
    ChannelSeen,
    ContactChanged,
    DeviceState,
    LinkLost,
    LiveEvent,
    ManagerEvent,
    Member,
    MemberRemoved,
    Snapshot,
)
from pbx.ami.wire import (
    ActionFailed,
    ActionTimedOut,
    LinkDown,
    LoginRefused,
    ManagerError,
)

__all__ = [
    "ActionFailed",
    "ActionTimedOut",
    "CallerLeft",
    "CallerWaits",
    "ChannelBridged",
    "ChannelGone",
    "ChannelHeld",
    "ChannelSeen",
    "ContactChanged",
    "DeviceState",
    "Handler",
    "LinkDown",
    "LinkFigures",
    "LinkLost",
    "LiveEvent",
    "Login",
    "LoginRefused",
    "ManagerError",
    "ManagerEvent",
    "ManagerLink",
    "Member",
    "MemberRemoved",
    "Snapshot",
    "Timing",
]
