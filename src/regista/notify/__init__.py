"""Events out: sends what changes to those who subscribed to it.

`http_sender`, `signatures`, `retries` and `addresses` send one message to one URL and say what to do next,
whatever it is about; `courier` delivers the log's events with them to one subscription, and `webhooks` to all.
`watches` runs the watches of the configuration file, each with its handler. The
room must not know the doors through which subscriptions come, nor the store: the agent gives it a tail of the log
and a writer.
"""

from regista.notify.addresses import AddressRule
from regista.notify.alert_apprise import AppriseSender
from regista.notify.alert_channels import CHANNEL_KINDS, AlertSender
from regista.notify.alert_desk import AlertDesk
from regista.notify.alert_engine import AlertEngine
from regista.notify.alert_settings import AlertSettings
from regista.notify.alert_teller import ChannelState
from regista.notify.alert_watchers import Sources as AlertSources
from regista.notify.courier import CourierState, Means, Tail
from regista.notify.cursors import Cursors
from regista.notify.http_sender import HttpSender, Message, open_sender
from regista.notify.outgoing import BatchEvents
from regista.notify.retries import Outcome, RetryPolicy, Tries, Verdict, decide_retry
from regista.notify.settings import NotifySettings
from regista.notify.signatures import SIGNATURE_HEADER, sign
from regista.notify.watch_definitions import Watch, read_watches
from regista.notify.watches import Told, Watches
from regista.notify.webhooks import Replayed, Webhooks, WebhookState

__all__ = [
    "CHANNEL_KINDS",
    "SIGNATURE_HEADER",
    "AddressRule",
    "AlertDesk",
    "AlertEngine",
    "AlertSender",
    "AlertSettings",
    "AlertSources",
    "AppriseSender",
    "BatchEvents",
    "ChannelState",
    "CourierState",
    "Cursors",
    "HttpSender",
    "Means",
    "Message",
    "NotifySettings",
    "Outcome",
    "Replayed",
    "RetryPolicy",
    "Tail",
    "Told",
    "Tries",
    "Verdict",
    "Watch",
    "Watches",
    "WebhookState",
    "Webhooks",
    "decide_retry",
    "open_sender",
    "read_watches",
    "sign",
]
