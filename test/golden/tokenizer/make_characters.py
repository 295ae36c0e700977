"""Writes src/io/tokenizer/characters.generated.ts: the sets of characters that `tokenizers` has built in.

Its Rust crates stand at several versions of Unicode, none of them that of Node. Every code point is asked of the library itself.
Run with Python, tokenizers 0.23.3: python make_characters.py
"""
import textwrap
import unicodedata
from pathlib import Path

from tokenizers import Regex, normalizers, pre_tokenizers

points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def isolated(pre_tokenizer):
    """Characters that a pre-tokenizer takes out of a word."""
    return [c for c in points if any(piece == chr(c) for piece, _ in pre_tokenizer.pre_tokenize_str('x' + chr(c) + 'x'))]


def changed(normalizer, to=None):
    """Characters that a normalizer changes inside a word; those that become `to` where it is given."""
    results = ((c, normalizer.normalize_str('a' + chr(c) + 'b')[1:-1]) for c in points)
    return [c for c, result in results if (result != chr(c) if to is None else result == to)]


def ranges(found):
    runs = []
    for c in found:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return ' '.join(f'{a:x}' if a == b else f'{a:x}-{b:x}' for a, b in runs)


def bert(**options):
    return normalizers.BertNormalizer(**{**dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **options})


compatible = set(changed(normalizers.NFKD()))
# what this interpreter decomposes and the library, whose tables are older, does not
undecomposed = [c for c in points if unicodedata.normalize('NFKD', chr(c)) != chr(c) and c not in compatible
                and not 0xAC00 <= c < 0xD7A4] + [c for c in (
    # decompositions younger than this interpreter's Unicode
    *range(0xA7F1, 0xA7F5), 0x105C9, 0x105E4, 0x11383, 0x11385, 0x1138E, 0x11391, 0x113C5, 0x113C7, 0x113C8, *range(0x16121, 0x16129),
    *range(0x16D68, 0x16D6B), *range(0x1CCD6, 0x1CCFA), *range(0x1E030, 0x1E06E)) if c not in compatible]
marks = changed(normalizers.StripAccents(), '')
sets = {
    'unassigned': ('Characters without a category in Oniguruma and the regex crate: unassigned in Unicode 16.',
                   isolated(pre_tokenizers.Split(Regex(r'\p{Cn}'), 'isolated'))),
    'punctuation': ('The punctuation of Punctuation and BertPreTokenizer.', isolated(pre_tokenizers.Punctuation('isolated'))),
    'marks': ('The accents that StripAccents removes.', marks),
    'nonspacing': ('The accents that BertNormalizer removes.', changed(bert(strip_accents=True), '')),
    'controls': ('The control characters that BertNormalizer removes.', changed(bert(clean_text=True), '')),
    'undecomposed': ('Characters that NFC, NFD, NFKC and NFKD leave alone although a later Unicode decomposes them.', sorted(set(undecomposed))),
}

lines = ['/** Sets of characters, as ranges of code points in hexadecimal. Written by test/golden/tokenizer/make_characters.py; do not edit. */']
for name, (comment, found) in sets.items():
    lines += ['', f'/** {comment} */', f'export const {name} =']
    rows = textwrap.wrap(ranges(found), 108, break_on_hyphens=False)
    lines += [f"  '{row}{' ' if i < len(rows) - 1 else ''}'{' +' if i < len(rows) - 1 else ''}" for i, row in enumerate(rows)]
target = Path(__file__).resolve().parents[3] / 'src/io/tokenizer/characters.generated.ts'
target.write_text('\n'.join(lines) + '\n')
