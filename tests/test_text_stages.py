"""Each stage of the text graph alone against the part of `tokenizers` that it stands for."""

from collections.abc import Callable
from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.normalizers import BertNormalizer

from m2v_export.graphs.arrays import BLOCK, MANY, counted_at, doubled, firsts_of_runs, reachable
from m2v_export.graphs.builder import Graph, Value
from m2v_export.text.samples import code_point_texts, fuzzed_texts, invalid_texts
from m2v_export.text.stages.characters import characters_of
from m2v_export.text.stages.code_points import look_up_pages
from m2v_export.text.stages.cut import cut
from m2v_export.text.stages.decode import decode
from m2v_export.text.stages.hashing import HashTable
from m2v_export.text.stages.normalize import codes as normalize_codes
from m2v_export.text.stages.normalize.added import mark_added, may_begin
from m2v_export.text.stages.normalize.codes import codes_of
from m2v_export.text.stages.normalize.in_place import IN_PLACE_FROM
from m2v_export.text.stages.repair import replace_invalid
from m2v_export.text.stages.truncate import drop, truncate
from m2v_export.text.stages.words import WholeWords, WordPlaces, begin_at, split_words
from m2v_export.text.tables import probe
from m2v_export.text.tables.added import added_table
from m2v_export.text.tables.alphabet import DROPPED, Alphabet
from m2v_export.text.tables.hashing import Bits, build, build_by_remainders
from m2v_export.text.tables.pages import MOST_SAID, paged
from m2v_export.text.tables.probe import CODE_POINTS, Characters, Kind
from m2v_export.text.tables.utf8 import PADDED
from m2v_export.text.tables.words import read_words
from m2v_export.text.wordpiece.pieces.match import FEW_WORDS, match_pieces
from m2v_export.text.wordpiece.pieces.merge import merge_at_codes
from m2v_export.text.wordpiece.pieces.rounds import FoundInRounds, merge_at_words
from m2v_export.text.wordpiece.pieces.search import Pieces
from m2v_export.text.wordpiece.whole import WholeWords as WholePieces
from tests.text_helpers import (
    assert_exact,
    potion_tables,
    potion_tokenizer,
    potion_vocab,
    run_on_arrays,
    run_on_texts,
    split_at,
    tables_of,
    word_piece,
)

TEXTS = [text for text in fuzzed_texts(potion_tokenizer(), 1500, seed=11) if "[" not in text]
"""No added tokens: they are no part of the normalizer, the pre-tokenizer and the model."""


FEW_ACCENTS = [
    "Plain words alone. " * (IN_PLACE_FROM // 19),
    *("naïve “Café”… déjà\u00a0vu", "é", "—", "", "É", "abç", "çan", "x" * 2000),
]
"""Texts of which few parts are characters of several bytes: at their ends, side by side, and alone."""


def normalized(text: str) -> str:
    return str(potion_tokenizer().normalizer.normalize_str(text))


def coded(text: str) -> list[int]:
    """Normalized text as the graph's codes."""
    characters = potion_characters()
    return [potion_tables().alphabet.code(c, characters.kind(c)) for c in text]


def codes_in(nodes: list[int]) -> list[int]:
    """The codes of these, without the bit that marks words' begins, and without separators."""
    bit = potion_tables().alphabet.isolated
    codes = [node if 3 * bit <= node < 4 * bit or node < bit else node - bit for node in nodes]
    return [code for code in codes if code not in (-1, bit - 1)]


@cache
def potion_characters() -> Characters:
    return probe.read_characters(potion_tokenizer())


def test_decode_reads_bytes_as_python_does() -> None:
    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        symbols, starts = replace_invalid(g, decode(g, utf8), offsets)
        return [symbols.slice(0, -PADDED), starts]

    texts = [*invalid_texts(5000), b"", "é".encode(), b"\xc3", b"\xa9"]
    found = split_at(*run_on_texts(build, texts))
    assert [bytes(text) for text in found] == [text.decode("utf-8", "replace").encode() for text in texts]


@pytest.mark.parametrize("code_points", [0, 1, 5, 1000])
def test_cut_counts_code_points(code_points: int) -> None:
    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        symbols, starts = replace_invalid(g, *cut(g, utf8, offsets, code_points))
        return [symbols.slice(0, -PADDED), starts]

    texts: list[str | bytes] = ["", *invalid_texts(300, seed=1), *TEXTS[:300], "", "é" * 2000, ""]
    texts_found = split_at(*run_on_texts(build, texts))
    decoded = [text if isinstance(text, str) else text.decode("utf-8", "replace") for text in texts]
    assert [bytes(text).decode() for text in texts_found] == [text[:code_points] for text in decoded]


def test_normalize_is_the_normalizer() -> None:
    """But for the spaces around ideographs, which are words of their own by their codes."""
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        words, starts = codes_of(g, decode(g, utf8), offsets, tables.normalization)
        return [words.nodes.slice(0, -PADDED), starts]

    texts = [*TEXTS, *(text for text in list(code_point_texts())[::13] if "[" not in text), *FEW_ACCENTS]
    # All at once, and such that most batches have few characters of several bytes.
    found = split_at(*run_on_texts(build, texts)) + split_at(*run_on_texts(build, FEW_ACCENTS))
    for text, nodes in zip([*texts, *FEW_ACCENTS], found, strict=True):
        assert codes_in(nodes) == [c for c in coded(normalized(text)) if c >= 0], repr(text)


def words_of(text: str) -> list[str]:
    return [word for word, _ in potion_tokenizer().pre_tokenizer.pre_tokenize_str(normalized(text))]


@pytest.mark.parametrize("texts", [TEXTS, FEW_ACCENTS], ids=["many characters of several bytes", "few"])
def test_words_are_the_pre_tokenizer(texts: list[str]) -> None:
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        begins, starts = codes_of(g, decode(g, utf8), offsets, tables.normalization)
        words = split_words(g, begins, tables.alphabet)
        starts = counted_at(g, begin_at(words.nodes, tables.alphabet), starts)
        return [words.nodes, words.codes, words.starts.slice(0, -1), words.gaps.slice(0, -1), starts]

    nodes, codes, starts, gaps, first_words = run_on_texts(build, texts)
    found = [nodes[at : at + gap].tolist() for at, gap in zip(starts, gaps, strict=True)]
    ends = [*first_words.tolist()[1:], len(found)]
    assert codes[starts].tolist() == [codes_in(word)[0] for word in found]
    for text, begin, end in zip(texts, first_words, ends, strict=True):
        words = [codes_in(word) for word in found[begin:end]]
        assert words == [coded(word) for word in words_of(text)], repr(text)


WORDS = sorted({word for text in TEXTS for word in words_of(text)} | {w for w in potion_vocab() if words_of(w) == [w]})
"""Normalized words: those of the texts, and the vocabulary's own."""


def coded_words() -> dict[tuple[int, ...], int]:
    return {tuple(coded(word)): token_id for word, token_id in potion_vocab().items() if words_of(word) == [word]}


@pytest.mark.parametrize("way", ["in the table of pieces", "numbers of tails beside it", "by 32 bits", "by 64 bits"])
def test_whole_words_are_the_vocabulary(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found are those words of the vocabulary that fit a key, and nothing else."""
    tables = potion_tables()
    if way == "numbers of tails beside it":
        monkeypatch.setattr("m2v_export.text.wordpiece.trie.HIGHEST", 2 * tables.trie.node)
        tables = tables_of(potion_tokenizer())
    if way == "by 64 bits":
        monkeypatch.setattr("m2v_export.text.tables.words.MANY_WORDS", 10)
    words_alone = read_words(tables.alphabet, coded_words()) if "bits" in way else None
    assert (tables.trie.whole.numbers is not None) == (way == "numbers of tails beside it")

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        begins, _ = codes_of(g, decode(g, utf8), offsets, tables.normalization)
        words = split_words(g, begins, tables.alphabet)
        if words_alone is not None:
            return list(WholeWords(g, words_alone).find(g, words))
        pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
        whole, differs = WholePieces(g, pieces).find(g, words)
        return [pieces.ids(whole), differs]

    ids, differs = run_on_texts(build, WORDS)
    assert differs[-1]
    assert len(WORDS) == len(ids) - 1
    found = differs == 0
    vocab, reach = potion_vocab(), tables.trie.whole.keys.reach if words_alone is None else words_alone.keys.reach
    for word, token_id, is_found in zip(WORDS, ids[:-1], found[:-1], strict=True):
        assert is_found == (word in vocab and len(word) < reach), word
        assert not is_found or token_id == vocab[word], word


def test_whole_words_of_several_tails() -> None:
    """Of so many different characters that few fit into one; some words differ in one character alone."""
    letters = [chr(c) for c in range(0x3B1, 0x3C9) if c != 0x3C2] + [chr(c) for c in range(0xA100, 0xA480)]
    rng = np.random.default_rng(0)
    words = {"".join(rng.choice(letters, length)) for length in range(1, 20) for _ in range(200)}
    words |= {word[:i] + letters[0] + word[i + 1 :] for word in list(words)[:300] for i in range(len(word))}
    vocab = {word: i for i, word in enumerate(["[UNK]", *sorted(words)])}
    vocab |= {"##" + letter: len(vocab) + i for i, letter in enumerate(letters)}
    tokenizer = word_piece(vocab, BertNormalizer(strip_accents=False))
    tables = tables_of(tokenizer)
    assert tables.trie.whole.keys.tails > 1
    others = [word + letters[1] for word in words] + [word[:-1] for word in words]
    asked = rng.permutation([*words, *others]).tolist()
    assert_exact(tokenizer, [" ".join(asked[i : i + 20]) for i in range(0, len(asked), 20)])


@pytest.mark.parametrize("distinct", [1, 7, 1 << 16, (1 << 16) + 1])
def test_pages_have_every_value(distinct: int) -> None:
    rng = np.random.default_rng(distinct)
    values = np.repeat(rng.integers(-5, 2**30, distinct), 40)[: CODE_POINTS // 2].astype(np.int32)
    values = np.concatenate([values, np.full(CODE_POINTS - len(values), 7, np.int32)])
    asked = np.concatenate([np.arange(CODE_POINTS), [MOST_SAID - 1]]).astype(np.int32)
    (found,) = run_on_arrays(lambda g, at: [look_up_pages(g, paged(values), at, "t")], asked)
    assert (found[:-1] == values).all()


def test_whole_words_of_wide_keys_differ() -> None:
    """Parts of 30 bits whose differences add up to 2^32, which is 0 in 32 bits; one in some ten asks in the one word's
    slot."""
    alphabet = Alphabet(
        width=10, isolated=2048, codes={}, foreign_word=1024, hole=1025, foreign_isolated=2048, added={}, end=2049
    )
    table = read_words(alphabet, {(5,): 7})
    assert table.keys.packed * table.keys.width == 30
    rng = np.random.default_rng(0)
    parts = rng.integers(2**29, 2**30, (200, table.keys.packs))
    parts[:, -1] = 2**32 - parts[:, :-1].sum(axis=1)
    parts = parts[(parts[:, -1] > 0) & (parts[:, -1] < 2**30)]
    step = table.keys.reach + 1
    packs = np.zeros((len(parts) + 1, step), np.int32)
    packs[:-1, 1 : table.keys.reach : table.keys.packed] = parts
    starts = np.arange(len(packs), dtype=np.int32) * step

    def build(g: Graph, codes: Value, packs: Value, starts: Value, gaps: Value) -> list[Value]:
        return list(WholeWords(g, table).find(g, WordPlaces(codes, codes, packs, starts, gaps)))

    codes = np.full(packs.size, 5, np.int32)
    ids, differs = run_on_arrays(build, codes, packs.reshape(-1), starts, np.full(len(starts), step, np.int32))
    assert differs[:-1].all()
    assert not differs[-1]
    assert ids[-1] == 7


@pytest.mark.parametrize(
    "words",
    [WORDS, WORDS[: FEW_WORDS // 2], [*WORDS[: FEW_WORDS // 2], "antidisestablishmentarianismus" * 3]],
    ids=["many, by rounds", "few, at once", "few, one of them long"],
)
def test_pieces_are_the_model(words: list[str]) -> None:
    """Every word as if it had been unfound, each a text."""
    tables = potion_tables()

    def build(g: Graph, utf8: Value, offsets: Value) -> list[Value]:
        begins, starts = codes_of(g, decode(g, utf8), offsets, tables.normalization)
        places = split_words(g, begins, tables.alphabet)
        pieces = Pieces(g, tables.trie, tables.alphabet, tables.unk_id)
        unfound = g.op("Range", np.array(0), places.starts.size().squeeze(0), np.array(1))
        return list(match_pieces(g, pieces, places, places.starts * 0, unfound, starts, tables.longest_word))

    expected = [[token.id for token in potion_tokenizer().model.tokenize(word)] for word in words]
    ids, starts, unknown = run_on_texts(build, words)
    assert split_at(ids, starts) == expected
    assert unknown == ([tables.unk_id] in expected)


LISTS = st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6)


@given(LISTS, st.integers(0, 4))
def test_truncate_keeps_the_first(texts: list[list[int]], most: int) -> None:
    flat, starts = flattened(texts)
    found = split_at(*run_on_arrays(lambda g, ids, offsets: truncate(g, ids, offsets, most), flat, starts))
    assert found == [text[:most] for text in texts]


@given(LISTS)
def test_drop_leaves_one_out(texts: list[list[int]]) -> None:
    found = split_at(*run_on_arrays(lambda g, ids, offsets: drop(g, ids, offsets, 3), *flattened(texts)))
    assert found == [[i for i in text if i != 3] for text in texts]


def flattened(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    starts = [0, *accumulate(map(len, texts))][: len(texts)]
    return np.array([i for text in texts for i in text], np.int32), np.array(starts, np.int64)


MERGED = {
    "begins": np.array([1, 1, 0, 0, 1, 0, 1, 1, 1], np.bool_),
    "starts": np.array([0, 1, 4, 6, 7], np.int32),
    "gaps": np.array([1, 3, 2, 1, 1], np.int32),
    "unfound": np.array([1, 3, 4]),
    "ids": np.array([10, 11, 12, 13, 14], np.int32),
    "text_starts": np.array([0, 4, 7], np.int32),
}
"""Words of 1, 3, 2 and 1 codes and the end; the second and the fourth were unfound. Texts begin with the first, the
third and the last word."""


def merged(merge: Callable[..., tuple[Value, Value]], **more: Any) -> list[list[int]]:
    """:param merge: called with all of MERGED and of ``more``, as values by name."""

    def build(g: Graph, *values: Value) -> list[Value]:
        return list(merge(g, **dict(zip(MERGED | more, values, strict=True))))

    return [of.tolist() for of in run_on_arrays(build, *(MERGED | more).values())]


def test_merge_at_codes_puts_pieces_in_place() -> None:
    """The first of the unfound words has two pieces, at its first and its third code."""

    def merge(
        g: Graph,
        *,
        begins: Value,
        starts: Value,
        gaps: Value,
        unfound: Value,
        ids: Value,
        values: Value,
        text_starts: Value,
    ) -> Any:
        mine, sizes = (g.op("GatherElements", of, unfound) for of in (starts, gaps))
        at = characters_of(g, mine, sizes).at
        return merge_at_codes(g, begins.cast(np.int32), starts, ids, at, values, text_starts)

    assert merged(merge, values=np.array([20, 0, 21, 22, 0], np.int32)) == [[10, 20, 21, 12, 22], [0, 3, 5]]


@pytest.mark.parametrize(
    ("unknown", "expected"),
    [
        ([0, 0, 0], [[10, 20, 21, 23, 12, 22], [0, 4, 6]]),
        ([1, 0, 0], [[10, 99, 12, 22], [0, 2, 4]]),
        ([0, 1, 0], [[10, 20, 21, 23, 12, 99], [0, 4, 6]]),
    ],
)
def test_merge_at_words_puts_pieces_in_place(unknown: list[int], expected: list[list[int]]) -> None:
    """The first of the unfound words has three pieces, found in as many rounds."""

    def merge(
        g: Graph, *, starts: Value, gaps: Value, values: Value, of_words: Value, rounds: Value, **rest: Value
    ) -> Any:
        return merge_at_words(g, found=FoundInRounds(values, of_words, rounds), unk_id=99, **rest)

    found = merged(
        merge,
        values=np.array([20, 22, 0, 21, 23], np.int32),
        of_words=np.array([0, 1, 2, 0, 0], np.int32),
        rounds=np.array([0, 0, 0, 1, 2], np.int32),
        unknown=np.array(unknown, np.int32),
    )
    assert found == expected


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([1, 2, 0, 1], [50, -9, 0, 1]),
        ([1, 2, 3, 0], [60, -9, -9, 0]),
        ([2, 3, 2, 3], [70, -9, 70, -9]),
        ([1, 2, 3, 2, 3], [60, -9, -9, 70, -9]),
        ([0, 2, 1, 2], [0, 2, 50, -9]),
    ],
)
def test_added_tokens_are_the_leftmost_longest(symbols: list[int], expected: list[int]) -> None:
    table = added_table({(1, 2): 50, (1, 2, 3): 60, (2, 3): 70}, 10)
    assert table is not None
    (found,) = run_on_arrays(
        lambda g, codes, starts: [mark_added(g, codes, codes, starts, table, -9)],
        np.array(symbols, np.int32),
        np.array([0]),
    )
    assert found.tolist() == expected


def test_added_tokens_end_with_the_text() -> None:
    table = added_table({(1, 2): 50}, 10)
    assert table is not None
    (found,) = run_on_arrays(
        lambda g, codes, starts: [mark_added(g, codes, codes, starts, table, -9)],
        np.array([1, 2, 1, 2], np.int32),
        np.array([0, 1]),
    )
    assert found.tolist() == [1, 2, 50, -9]


@pytest.mark.parametrize(
    ("symbols", "expected"), [([1, 2, 3], True), ([1, 3, 9], False), ([2, 9, 9], True), ([0, 0, 0], False)]
)
def test_first_symbols_tell_whether_an_added_token_may_begin(symbols: list[int], expected: bool) -> None:
    table = added_table({(1, 2, 3, 4): 50, (1, 2, 4): 60, (2,): 70}, 10)
    assert table is not None
    (found,) = run_on_arrays(lambda g, x: [may_begin(g, x.reshape(-1, 1), table)], np.array(symbols, np.int32))
    assert found == expected


@given(st.lists(st.integers(1, 4), min_size=1, max_size=9))
def test_places_of(counts: list[int]) -> None:
    """The members of consecutive groups; where all begin at 0, a member's place is that in its group."""

    def build(g: Graph, starts: Value, sizes: Value) -> list[Value]:
        places = characters_of(g, starts, sizes)
        return [places.word, places.at, places.left]

    sizes = np.array(counts, np.int32)
    group, place, left = run_on_arrays(build, sizes * 0, sizes)
    assert group.tolist() == [i for i, count in enumerate(counts) for _ in range(count)]
    assert place.tolist() == [j for count in counts for j in range(count)]
    assert left.tolist() == [count - j for count in counts for j in range(count)]


def test_firsts_of_runs() -> None:
    values, starts, lengths, most = np.array([5, 6, 7, 8, 9], np.int32), [0, 2, 2, 3], [2, 0, 1, 1], [1, 0, 0, 1]
    kept, begins = run_on_arrays(lambda g, *x: firsts_of_runs(g, *x), values, *map(np.array, (starts, lengths, most)))
    assert kept.tolist() == [5, 8, 9]
    assert begins.tolist() == [0, 1, 1, 1]


def test_reachable() -> None:
    marks, jump = np.array([0, 1, 0, 0, 0, 0, 0], np.int32), np.array([1, 3, 3, 4, 6, 6, 6], np.int32)
    (found,) = run_on_arrays(lambda g, *x: [reachable(g, *x)], marks, jump)
    assert found.tolist() == [0, 1, 0, 1, 1, 0, 1]
    found, further = run_on_arrays(lambda g, marks, jump: list(doubled(g, marks, jump, 2)), marks, jump)
    assert (found.tolist(), further.tolist()) == ([0, 1, 0, 1, 1, 0, 1], [6, 6, 6, 6, 6, 6, 6])


@pytest.mark.parametrize("size", [1, BLOCK, MANY + 1, MANY + BLOCK])
def test_counted_at(size: int) -> None:
    rng = np.random.default_rng(size)
    flags, at = rng.random(size) < 0.5, np.sort(rng.integers(0, size, 50)).astype(np.int32)
    (found,) = run_on_arrays(lambda g, *x: [counted_at(g, *x)], flags, at)
    assert found.tolist() == [int(flags[:place].sum()) for place in at]


@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("count", [0, 1, 5, 3000])
def test_a_hash_table_finds_its_keys_alone(count: int, bits: bool) -> None:
    rng = np.random.default_rng(count)
    dtype, most = (np.int32, 2**31 - 1) if bits else (np.int64, 2**62)
    keys = np.unique(rng.integers(1, most, 3 * count)).reshape(-1)
    rng.shuffle(keys)
    inside, outside = keys[:count], keys[count:]

    def mixed(keys: Any) -> Any:
        return (keys * 0x9E3779B1).astype(np.int32) if bits else keys

    found = build(inside[None], mixed(inside), Bits.for_keys(count)) if bits else build_by_remainders(inside, inside)
    assert found is not None
    table, slots = found

    def find(g: Graph, hashed: Value) -> list[Value]:
        of_graph = HashTable(g, table, "t", dtype, dtype)
        slots = of_graph.slots(g, hashed)
        return [slots, of_graph.keys_at(g, slots).reshape(-1)]

    asked = np.concatenate([inside, outside, [0]])
    slot, stored = run_on_arrays(find, mixed(asked).astype(dtype))
    assert slot[:count].tolist() == slots.tolist()
    assert (stored == asked).tolist() == [True] * count + [False] * (len(outside) + 1)


def test_kinds_of_characters() -> None:
    characters = potion_characters()
    assert [characters.kind(c) for c in " a!漢\u2028"] == [
        Kind.SEPARATOR,
        Kind.WORD,
        Kind.ISOLATED,
        Kind.ISOLATED,
        Kind.SEPARATOR,
    ]
    assert characters.form("ÀB漢 한\x00ﬁİ") == "ab漢 \u1112\u1161\u11ab" + "ﬁi"


def test_characters_that_become_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """Side by side, or put between the others: nothing else differs than what is dropped."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 19, 40)
    expansions = np.where(np.arange(18) < sizes[:, None], rng.integers(0, 99, (40, 18)), DROPPED).astype(np.int32)
    codes = np.where(rng.random(3000) < 0.8, rng.integers(-1, 99, 3000), DROPPED + rng.integers(0, 41, 3000))
    codes[-2:] = 5, -1
    starts = np.array([0, 0, 1, 7, 7, 1500, 2998], np.int32)
    texts = []
    for narrow in (3, 18):
        monkeypatch.setattr(normalize_codes, "NARROW", narrow)
        written, begins = run_on_arrays(
            lambda g, codes, starts: normalize_codes._expanded(g, codes, starts, expansions),
            codes.astype(np.int32),
            starts,
        )
        texts.append([part[part != DROPPED].tolist() for part in np.split(written, begins)])
        assert len(written) < 3 * len(codes) or narrow == 18
    assert texts[0] == texts[1]
    its = [[code] if code <= DROPPED else expansions[code - DROPPED - 1].tolist() for code in codes.tolist()]
    assert texts[0] == [
        [code for codes in its[begin:end] for code in codes if code != DROPPED]
        for begin, end in pairwise([0, *starts.tolist(), len(codes)])
    ]
