"""The packed linear algebra against numpy, on real ciphertexts."""

import numpy as np
import pytest
import tenseal.sealapi as seal

from core.encryption import packed
from core.encryption.encoding import coefficients_of, decode, encode, slots_of
from core.encryption.heads import TOKEN_SIZE, Head, Shape
from core.encryption.packed import COARSE, PackedHead, answer_layout, answer_scale, rotations, token_slots
from core.encryption.parameters import PRESETS
from core.encryption.serialization import (
    ciphertext_from,
    context_of,
    fresh_ciphertext_from,
    rotation_key_from,
    to_bytes,
)
from core.encryption.timing import example_head, example_token


class EncryptedHead:
    """A key, and a head asked about tokens without any of the client's checks or roundings."""

    def __init__(self, preset: str, head: Head):
        self.preset, self.head = PRESETS[preset], head
        context = context_of(preset)
        generator = seal.KeyGenerator(context)
        self.encryptor = seal.Encryptor(context, generator.secret_key())
        self.decryptor = seal.Decryptor(context, generator.secret_key())
        self.keys = {
            element: rotation_key_from(self.preset, to_bytes(generator.create_galois_keys([element])), element)
            for element in rotations(self.preset, head.kind)
        }
        self.packed = PackedHead(self.preset, head)

    def coefficients(self, token: np.ndarray) -> np.ndarray:
        plaintext = encode(self.preset, token_slots(self.preset, self.head.shape, token), 2.0**self.preset.token_bits)
        ciphertext = fresh_ciphertext_from(self.preset, to_bytes(self.encryptor.encrypt_symmetric(plaintext)))
        answer = ciphertext_from(self.preset, to_bytes(self.packed.answer(ciphertext, self.keys)))
        assert answer.scale == pytest.approx(answer_scale(self.preset, self.head.shape), rel=1e-12)
        self.decryptor.decrypt(answer, plaintext)
        return coefficients_of(decode(self.preset, plaintext))


@pytest.fixture(scope="module")
def polynomial() -> EncryptedHead:
    return EncryptedHead("polynomial-fast", example_head("polynomial", np.random.default_rng(1)))


def test_slots_are_the_values_at_the_roots():
    # X at ζ^1, ζ^3, ζ^9 and ζ^27 = ζ^11, where ζ = exp(πi / 8).
    root = np.exp(1j * np.pi / 8)
    assert slots_of(np.eye(8)[1]) == pytest.approx([root, root**3, root**9, root**11])


def test_coefficients_and_slots_are_inverse():
    coefficients = np.random.default_rng(0).normal(size=4096)
    assert coefficients_of(slots_of(coefficients)) == pytest.approx(coefficients, abs=1e-12)


def test_seal_multiplies_coefficients_as_polynomials():
    # (1 + 2 X) · 3 X^4095 = 3 X^4095 + 6 X^4096, and X^4096 = -1.
    preset = PRESETS["linear"]
    context = context_of("linear")
    encryptor = seal.Encryptor(context, seal.KeyGenerator(context).secret_key())
    first, second = np.zeros(4096), np.zeros(4096)
    first[:2], second[-1] = (1, 2), 3
    generator = seal.KeyGenerator(context)
    encryptor = seal.Encryptor(context, generator.secret_key())
    ciphertext, plaintext = seal.Ciphertext(), seal.Plaintext()
    encryptor.encrypt_symmetric(encode(preset, slots_of(first), 2.0**24), ciphertext)
    seal.Evaluator(context).multiply_plain_inplace(ciphertext, encode(preset, slots_of(second), 2.0**24))
    seal.Decryptor(context, generator.secret_key()).decrypt(ciphertext, plaintext)
    expected = np.zeros(4096)
    expected[0], expected[-1] = -6, 3
    assert coefficients_of(decode(preset, plaintext)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("classes", [1, 2, 3, 4])
def test_a_linear_head_is_the_product_of_matrix_and_token(classes):
    random = np.random.default_rng(classes)
    encrypted = EncryptedHead("linear", example_head("linear", random, classes))
    layout = answer_layout(encrypted.preset, encrypted.head.shape)
    for _ in range(3):
        token = example_token(random)
        found = encrypted.coefficients(token)
        expected = encrypted.head.weights[0] @ token + encrypted.head.weights[1]
        assert found[layout.logits] == pytest.approx(expected, abs=1e-4)
        assert np.abs(found[layout.zeros]).max() < 1e-4


def test_one_weight_meets_one_number():
    weights = np.zeros((2, TOKEN_SIZE))
    weights[0, 5], weights[1, 767] = 2, -3
    encrypted = EncryptedHead("linear", Head("linear", (weights, np.array([0.5, 0]))))
    token = np.zeros(TOKEN_SIZE)
    token[5], token[767] = 1.5, 4
    found = encrypted.coefficients(token)[answer_layout(encrypted.preset, encrypted.head.shape).logits]
    assert found == pytest.approx([3.5, -12], abs=1e-4)


@pytest.mark.parametrize("name", ["polynomial-fast", "polynomial"])
def test_a_linear_head_is_carried_by_deeper_presets_too(name):
    random = np.random.default_rng(5)
    encrypted = EncryptedHead(name, example_head("linear", random))
    token = example_token(random)
    found = encrypted.coefficients(token)[answer_layout(encrypted.preset, encrypted.head.shape).logits]
    assert found == pytest.approx(encrypted.head.logits(token), abs=1e-4)


def test_a_polynomial_head_is_two_products_and_a_square(polynomial):
    random, layout = np.random.default_rng(2), answer_layout(polynomial.preset, polynomial.head.shape)
    for _ in range(3):
        token = example_token(random)
        found = polynomial.coefficients(token)
        first, second, third, fourth = polynomial.head.weights
        expected = third @ (first @ token + second) ** 2 + fourth
        assert found[layout.logits] == pytest.approx(expected, abs=1e-2)
        assert COARSE * found[layout.coarse] == pytest.approx(expected, abs=0.2)
        assert np.abs(found[layout.zeros]).max() < 1e-2


def test_the_precise_preset_is_precise():
    random = np.random.default_rng(3)
    encrypted = EncryptedHead("polynomial", example_head("polynomial", random, classes=2, hidden=50))
    token = example_token(random)
    found = encrypted.coefficients(token)[answer_layout(encrypted.preset, encrypted.head.shape).logits]
    assert found == pytest.approx(encrypted.head.logits(token), abs=1e-4)


def test_every_hidden_unit_meets_every_column():
    """Each number alone, with a weight of its own on a unit of its own, gives its own square."""
    hidden, output = np.zeros((64, TOKEN_SIZE)), np.zeros((1, 64))
    hidden[63, 0], hidden[0, 767], hidden[17, 511], output[0, [63, 0, 17]] = 1, 2, -1, (1, 0.5, 3)
    encrypted = EncryptedHead("polynomial-fast", Head("polynomial", (hidden, np.zeros(64), output, np.zeros(1))))
    token = np.zeros(TOKEN_SIZE)
    token[0], token[767], token[511] = 1.5, 1, 2
    # 1 · 1.5² + 0.5 · (2 · 1)² + 3 · (-1 · 2)²
    found = encrypted.coefficients(token)[answer_layout(encrypted.preset, encrypted.head.shape).logits]
    assert found == pytest.approx([2.25 + 2 + 12], abs=1e-2)


def test_all_else_in_an_answer_is_masked_anew_each_time(polynomial):
    token, layout = example_token(np.random.default_rng(4)), answer_layout(polynomial.preset, polynomial.head.shape)
    shown = np.zeros(polynomial.preset.degree, dtype=bool)
    shown[np.concatenate(layout)] = True
    # A uniform number modulo the prime has a deviation of prime / √12.
    spread = 2.0**32 / answer_scale(polynomial.preset, polynomial.head.shape) / 12**0.5
    first, second = polynomial.coefficients(token)[~shown], polynomial.coefficients(token)[~shown]
    for mask in (first, second):
        assert mask.std() == pytest.approx(spread, rel=0.05) and abs(mask.mean()) < spread / 5
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_a_linear_head_that_could_leave_its_range_is_refused():
    head = Head("linear", (np.full((2, TOKEN_SIZE), 1.0), np.zeros(2)))
    with pytest.raises(ValueError, match="could reach 776, and an answer holds 250; scale the head down.$"):
        PackedHead(PRESETS["linear"], head)


@pytest.mark.parametrize(
    "token, reason",
    [
        (np.zeros(767), r"768 finite numbers, not an array of shape \(767,\)"),
        (np.full(TOKEN_SIZE, np.nan), "768 finite numbers"),
        (np.full(TOKEN_SIZE, 2.0), "length is 55.4; scale it to 28 or less"),
    ],
)
def test_what_is_no_token_is_refused_in_one_sentence(token, reason):
    with pytest.raises(ValueError, match=reason):
        token_slots(PRESETS["linear"], Shape("linear", 2), token)


def test_a_linear_head_needs_no_rotation_key_and_a_polynomial_few():
    assert rotations(PRESETS["linear"], "linear") == []
    assert [len(rotations(PRESETS[f"polynomial{name}"], "polynomial")) for name in ("-fast", "", "-strong")] == [
        7,
        8,
        9,
    ]
    assert packed._sum_steps(PRESETS["polynomial-fast"]) == [64, 128, 256, 512, 1024]
