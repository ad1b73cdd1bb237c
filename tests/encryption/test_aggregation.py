"""Encrypted means."""

import numpy as np
import pytest

from core.encryption import Client, ServiceError, encrypted_mean
from core.encryption.parameters import PRESETS


@pytest.mark.parametrize("length", [1, 768, 5000])
def test_the_encrypted_mean_is_the_mean(server, length):
    random = np.random.default_rng(length)
    vectors = [random.normal(size=length) for _ in range(3)]
    found = encrypted_mean(vectors, server)
    assert found.mean == pytest.approx(np.mean(vectors, axis=0), abs=PRESETS["sum"].precision)
    assert found.max_error <= PRESETS["sum"].precision and found.plain_kb == 4 * length / 1000
    assert 0 < found.upload_kb < found.download_kb


def test_vectors_of_different_lengths_have_no_mean(server):
    with pytest.raises(ValueError, match="different lengths"):
        encrypted_mean([np.zeros(3), np.zeros(4)], server)
    with pytest.raises(ValueError, match="1 to 8 clients' vectors, not of 9"):
        encrypted_mean([np.zeros(3)] * 9, server)
    with Client(PRESETS["sum"]) as client, server.open(client) as session:
        with pytest.raises(ServiceError, match="Nothing has been sent yet"):
            session.mean()
        session.contribute(client.encrypt_vector(np.zeros(3)))
        with pytest.raises(ServiceError, match="not as long as those before"):
            session.contribute(client.encrypt_vector(np.zeros(3000)))
        with pytest.raises(ServiceError, match="1 to 1000 ciphertexts, not 0"):
            session.contribute([])
