"""A site as Flower's ClientApp: what it answers to the two kinds of messages that a federation sends."""

import logging
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from core.federation.flower.keys import known_partners, voucher
from core.federation.flower.messages import CONFIG, answer_record, read_order, refusal_record
from core.federation.site import Site

logger = logging.getLogger(__name__)
FAILED = "This site's part failed; what happened stands in its own log."


def client_app(site: Site, own: ec.EllipticCurvePrivateKey, partners: Sequence[ec.EllipticCurvePublicKey]) -> ClientApp:
    """Flower's app of a site.

    Parameters
    ----------
    site : Site
        Whose answers are sent.
    own : private key
        Which it vouches with that it takes part.
    partners : sequence of public keys
        Of the sites that it knows.
    """
    app = ClientApp()

    @app.query()
    def enrol(message: Message, context: Context) -> Message:
        return _reply(message, lambda: _enrolled(message))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return _reply(message, lambda: _trained(message))

    def _enrolled(message: Message) -> RecordDict:
        order, _ = read_order(message.content)
        name = order.plan.name
        return RecordDict({CONFIG: ConfigRecord({"count": len(site.labels), "voucher": voucher(own, name)})})

    def _trained(message: Message) -> RecordDict:
        order, shared = read_order(message.content)
        known = known_partners(partners, order.vouchers, order.plan.name, own.public_key())
        return answer_record(site.answer(order, shared, known))

    return app


def _reply(message: Message, answered: Callable[[], RecordDict]) -> Message:
    try:
        record = answered()
    except ValueError as error:
        logger.warning("Refused: %s", error)
        record = refusal_record(str(error))
    except Exception:
        # The server is told no more than that: a traceback could hold what never leaves.
        logger.exception("Failed")
        record = refusal_record(FAILED)
    return Message(record, reply_to=message)
