"""Small tokenizers, feature by feature, and what `tokenizers` makes of random texts.

Writes texts.json and tokenizers.json beside itself: of every text and tokenizer the first four hex digits of the SHA-256 of its ids, and of
what they decode to. Run with Python, tokenizers 0.23.3: python make_tokenizers.py [number of texts, 500] [directory]
"""
import hashlib
import json
import random
import sys
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parent

# --- texts ---------------------------------------------------------------------------------------------------------------------------

words = '''the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you were all
her she there would their we him been has when who will no more if out so up said what its about than into them can only other time new
some could these two may first then do any like my now over such our man me even most made after also did many off before must well back
through years much where your way down should because long each just state those people too mr how little good world make very year still
see own work men day get here old between both life being under three never know same last another while us might great go come since
against right came take used himself few house use place during without again home around small however found mrs part school thought went
hello don't it's I'm they'll we've you'd he'd Ain't IT'S 'TIS O'Neill straße naïve café Ångström ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ Привет мир שלום'''.split()
scripts = ['数学は楽しい', '東京都', '你好世界', '한국어 토큰', 'नमस्ते दुनिया', 'สวัสดีชาวโลก', 'مرحبا بالعالم', 'İstanbul ıI', 'ﬁﬂﬀﬆ', 'ｆｕｌｌ', '①②Ⅷ½²', '٣٤٥',
           '１２３', 'e\u0301a\u0328\u0301o\u0323\u0302', '\u1e9b\u0323', '\u0958\u0915\u093c', 'ᄀ\u1161\u11a8각', '\U0001d400\U0001d7d8', 'ŉǰΐ', 'ſK']
emoji = ['😀', '👩\u200d👩\u200d👧', '🏳️\u200d🌈', '👍🏽', '🇩🇪', '☕\ufe0f', '✂']
spaces = [' ', '  ', '   ', '\n', '\n\n', '\r\n', '\t', ' \n ', '\u00a0', '\u3000', '\u2003', '\u2028', '\u0085', '\ufeff', '\u200b', '      ', '\x0b', '\x1c']
controls = ['\x00', '\x01', '\x07', '\x1b', '\x7f', '\x80', '\ufffd', '\u202e', '\u00ad', '\ue000', '\ufdd0', '\U0010ffff']
marks = list('.,;:!?\'"()[]{}<>-_/\\|@#$%^&*+=~`') + ['...', '--', '://', '==', '«', '»', '…', '’', '。', '，', '、', '¿', '€', '°', '§', '™', '\u2581', 'Ġ', '##', '_a_']
specials = ['<s>', '</s>', '<unk>', '<pad>', '[UNK]', '[CLS]', '<|im_start|>', '<|im_end|>', '<x>', '<x> <x>', ' <x> ', '<left>', '<right>', '<both>', '<word>', 'a<word>b',
            '<Norm>', '<norm>', '<NORM>', '<plain>', '<0x41>', '<0x0A>', '<', '>']
draw = random.Random(13 if count == 500 else count)


def fragment():
    kind = draw.random()
    if kind < .38:
        word = draw.choice(words)
        return draw.choice([word, word, word, word.title(), word.upper()])
    for bound, source in ((.46, scripts), (.49, emoji), (.71, spaces), (.73, controls), (.82, marks), (.9, specials)):
        if kind < bound:
            return draw.choice(source)
    if kind < .95:
        return ''.join(draw.choice('0123456789') for _ in range(draw.randint(1, 6)))
    if kind < .98:
        return ''.join(draw.choice('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZéüß') for _ in range(draw.randint(1, 9)))
    while True:
        point = draw.choice([draw.randrange(0x110000), draw.randrange(0x3000), draw.randrange(0x20000)])
        if not 0xD800 <= point < 0xE000:
            return chr(point)


def text():
    separator = draw.choice(['', ' ', ' '])
    return separator.join(fragment() for _ in range(draw.choice([1, 2, 3, 5, 8, 12])))


texts = ['', ' ', 'a', *(text() for _ in range(count - 3))]
corpus = [' '.join(draw.choice(words + scripts + emoji + marks) for _ in range(draw.randint(2, 9))) for _ in range(1200)]

# --- tokenizers that are trained -----------------------------------------------------------------------------------------------------

contractions = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
llama3 = contractions + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
qwen2 = llama3.replace(r'\p{N}{1,3}', r'\p{N}')
gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
byte_tokens = [f'<0x{byte:02X}>' for byte in range(256)]


def saved(tokenizer):
    return json.loads(tokenizer.to_str())


def byte_level(pattern):
    tokenizer = Tokenizer(models.BPE(ignore_merges=pattern == llama3))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), 'isolated')]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, last]) if split else last
    tokenizer.decoder = decoders.ByteLevel()
    if pattern == qwen2:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=470, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                                                             special_tokens=['<|im_start|>', '<|im_end|>']))
    if pattern == llama3:
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single='<|im_start|> $A', pair='<|im_start|> $A <|im_start|> $B', special_tokens=[('<|im_start|>', 0)])])
    return saved(tokenizer)


def sentence_piece(metaspace):
    tokenizer = Tokenizer(models.BPE(unk_token='<unk>', fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always' if metaspace is None else metaspace)
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=620, special_tokens=['<unk>', '<s>', '</s>', *byte_tokens], show_progress=False,
                                                             limit_alphabet=90))
    strip = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    tokenizer.decoder = strip
    if metaspace is None:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
        tokenizer.pre_tokenizer = None
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=metaspace, split=False)
    tokenizer.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A $B', special_tokens=[('<s>', 1)])
    result = saved(tokenizer)
    # bytes are ordinary tokens of a SentencePiece model
    result['added_tokens'] = result['added_tokens'][:3]
    return result


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(' {2,}'), ' ')])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(corpus, trainers.UnigramTrainer(vocab_size=420, special_tokens=['<unk>', '<s>', '</s>'], unk_token='<unk>', show_progress=False))
    return saved(tokenizer)


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=420, special_tokens=['[UNK]', '[CLS]', '[SEP]'], show_progress=False))
    tokenizer.post_processor = processors.BertProcessing(('[SEP]', 2), ('[CLS]', 1))
    return saved(tokenizer)


def word_level():
    tokenizer = Tokenizer(models.WordLevel(unk_token='[UNK]'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(corpus, trainers.WordLevelTrainer(vocab_size=300, special_tokens=['[UNK]'], show_progress=False))
    return saved(tokenizer)


bases = {
    'bytes': byte_level(None), 'llama3': byte_level(llama3), 'qwen2': byte_level(qwen2), 'prepend': sentence_piece(None),
    'metaspace': sentence_piece('first'), 'unigram': unigram(), 'wordpiece': word_piece(), 'wordlevel': word_level(),
}

# --- features: a base, and the parts of its file that are changed ---------------------------------------------------------------------


def added(content, **flags):
    token = {'id': None, 'content': content, 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': False}
    return {**token, **flags}


def split(pattern, behavior='Isolated', invert=False, kind='Regex'):
    return {'type': 'Split', 'pattern': {kind: pattern}, 'behavior': behavior, 'invert': invert}


def bert(**flags):
    return {'type': 'BertNormalizer', **dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False), **flags}


behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous']
upper, lower, before = r'[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]', r'[\p{Ll}\p{Lm}\p{Lo}\p{M}]', r'[^\r\n\p{L}\p{N}]?'
patterns = {
    'gpt2': gpt2,
    'qwen3.5': contractions + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    'cl100k': contractions + r"|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    'cl100k again': r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    'o200k': '|'.join([f'{before}{upper}*{lower}+{contractions}?', f'{before}{upper}+{lower}*{contractions}?', r'\p{N}{1,3}',
                       r' ?[^\s\p{L}\p{N}]+[\r\n/]*', r'\s*[\r\n]+', r'\s+(?!\S)', r'\s+']),
    'tekken': '|'.join([f'{before}{upper}*{lower}+', f'{before}{upper}+{lower}*', r'\p{N}', r' ?[^\s\p{L}\p{N}]+[\r\n/]*', r'\s*[\r\n]+', r'\s+(?!\S)', r'\s+']),
    'deepseek': r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+".replace('\\"', '"'),
    'cjk': '[一-龥぀-ゟ゠-ヿ]+', 'bloom': r' ?[^(\s|[.,!?…。，、।۔،])]+', 'ends': r'\s+$', 'deepseek letters': r'\s?\p{L}+', 'deepseek marks': r'\s?\p{P}+', 'cjk and more': '[一-龥ࠀ-一가-\ud7ff]+', 'lines': r'^\s*\w+', 'words': r'\w+', 'no words': r'\W+', 'digits': r'\d{1,2}',
    'folded': r'(?i:sk|the)', 'lazy': r'a.*?e', 'behind': r'(?<=[aeiou])\S', 'atomic': r'(?>\p{L}+)\s?', 'scripts': r'\p{Han}+|\p{Hiragana}+|\p{Greek}+|[^\p{Latin}]',
    'points': r'\x{2581}|\u0041|\x42|\t|[\x{1F600}-\x{1F64F}]', 'empty': r'x*', 'start': r'\A\S|\S\z', 'not space': r'[^\S\n]+', 'upper': r'(?=\p{Lu})',
}
mark_words = {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': 'always', 'split': True}
byte_words = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': False}
special = [added('<x>', special=True), added('<|im_start|>', special=True)]

features = {name: (base, {}) for name, base in {
    'byte-level with the split of GPT-2': 'bytes', 'byte-level with the split of Llama 3': 'llama3', 'byte-level with the split of Qwen 2': 'qwen2',
    'SentencePiece BPE by Prepend': 'prepend', 'SentencePiece BPE by Metaspace': 'metaspace', 'Unigram': 'unigram', 'WordPiece': 'wordpiece', 'WordLevel': 'wordlevel',
}.items()}
for form in ('NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents', 'ByteLevel'):
    features[f'normalizer {form}'] = ('bytes', {'normalizer': {'type': form}, **({'pre_tokenizer': None} if form == 'ByteLevel' else {})})
for at_start, at_end in ((True, False), (False, True), (True, True)):
    features[f'normalizer Strip {at_start} {at_end}'] = ('bytes', {'normalizer': {'type': 'Strip', 'strip_left': at_start, 'strip_right': at_end}})
features |= {
    'normalizer Replace of a text': ('bytes', {'normalizer': {'type': 'Replace', 'pattern': {'String': 'th'}, 'content': '$&x'}}),
    'normalizer Replace of an expression': ('bytes', {'normalizer': {'type': 'Replace', 'pattern': {'Regex': r'\s+'}, 'content': '_'}}),
    'normalizer Prepend': ('bytes', {'normalizer': {'type': 'Prepend', 'prepend': '>> '}}),
    'normalizer Sequence': ('bytes', {'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'NFD'}, {'type': 'StripAccents'}, {'type': 'Lowercase'}]}}),
    'normalizer Bert cleans': ('bytes', {'normalizer': bert(clean_text=True)}), 'normalizer Bert Chinese': ('bytes', {'normalizer': bert(handle_chinese_chars=True)}),
    'normalizer Bert accents': ('bytes', {'normalizer': bert(strip_accents=True)}), 'normalizer Bert lower': ('bytes', {'normalizer': bert(lowercase=True)}),
    'normalizer Bert lower, accents by default': ('bytes', {'normalizer': bert(lowercase=True, strip_accents=None)}),
}
for behavior in behaviors:
    for invert in (False, True):
        features[f'Split {behavior}{" inverted" if invert else ""}'] = (
            'bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [split(r'\p{N}|[-_.]+', behavior, invert), byte_words]}})
    features[f'Split of a text {behavior}'] = ('bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [split('e', behavior, False, 'String'), byte_words]}})
    features[f'Punctuation {behavior}'] = ('bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Punctuation', 'behavior': behavior}, byte_words]}})
for name, pattern in patterns.items():
    features[f'pattern {name}'] = ('bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [split(pattern), byte_words]}})
for single in (False, True):
    features[f'Digits {single}'] = ('bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'Digits', 'individual_digits': single}, byte_words]}})
for name in ('Whitespace', 'WhitespaceSplit', 'BertPreTokenizer'):
    features[name] = ('bytes', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': name}, byte_words]}})
    features[f'{name} of words'] = ('wordlevel', {'pre_tokenizer': {'type': name}})
for scheme in ('always', 'first', 'never'):
    for cut in (False, True):
        features[f'Metaspace {scheme} {cut}'] = ('metaspace', {'pre_tokenizer': {**mark_words, 'prepend_scheme': scheme, 'split': cut}, 'added_tokens': special})
features |= {
    'Metaspace behind Whitespace': ('metaspace', {'pre_tokenizer': {'type': 'Sequence', 'pretokenizers': [{'type': 'WhitespaceSplit'}, {**mark_words, 'prepend_scheme': 'first'}]}}),
    'Metaspace first behind Strip': ('metaspace', {'normalizer': {'type': 'Strip', 'strip_left': True, 'strip_right': True}, 'added_tokens': special}),
    'Metaspace first behind StripAccents': ('metaspace', {'normalizer': {'type': 'StripAccents'}, 'added_tokens': special}),
    'Metaspace first behind Replace': ('metaspace', {'normalizer': {'type': 'Replace', 'pattern': {'Regex': '^[a-h ]+'}, 'content': ''}, 'added_tokens': special}),
    'Metaspace first behind NFKD': ('metaspace', {'normalizer': {'type': 'NFKD'}, 'added_tokens': special}),
    'ByteLevel with a space before': ('bytes', {'pre_tokenizer': {**byte_words, 'add_prefix_space': True, 'use_regex': True}, 'added_tokens': special}),
    'ByteLevel without words': ('bytes', {'pre_tokenizer': byte_words}),
    'bytes without a pre-tokenizer': ('bytes', {'pre_tokenizer': None}),
    'no token for the unknown': ('prepend', {'model': {'unk_token': None, 'byte_fallback': False}}),
    'unknown tokens one by one': ('prepend', {'model': {'byte_fallback': False, 'fuse_unk': False}}),
    'unknown tokens fused': ('prepend', {'model': {'byte_fallback': False}}),
    'unknown tokens fused word by word': ('metaspace', {'model': {'byte_fallback': False}, 'pre_tokenizer': mark_words}),
    'whole words first': ('bytes', {'model': {'ignore_merges': True}, 'added_tokens': [], 'pre_tokenizer': {
        'type': 'Sequence', 'pretokenizers': [{'type': 'WhitespaceSplit'}, byte_words]}}),
    'Unigram with bytes': ('unigram', {'model': {'byte_fallback': True}}),
    'WordPiece of long words': ('wordpiece', {'model': {'max_input_chars_per_word': 4}}),
    'WordPiece with another prefix': ('wordpiece', {'model': {'continuing_subword_prefix': ''}}),
    'truncation and padding of the file': ('bytes', {'truncation': {'direction': 'Right', 'max_length': 5, 'strategy': 'LongestFirst', 'stride': 0}}),
}
flags = {
    'plain': {}, 'special': {'special': True}, 'lstrip': {'lstrip': True}, 'rstrip': {'rstrip': True}, 'both sides': {'lstrip': True, 'rstrip': True},
    'single word': {'single_word': True}, 'normalized': {'normalized': True}, 'normalized, both sides': {'normalized': True, 'lstrip': True, 'rstrip': True},
    'single word, normalized': {'single_word': True, 'normalized': True},
}
several = ['<x>', '<left>', '<Norm>', 'the', '<x> <x>', ' of']
for name, flag in flags.items():
    tokens = [added(content, **flag) for content in several] + [added('<right>', special=True), added('<plain>', normalized=True)]
    features[f'added tokens: {name}'] = ('bytes', {'added_tokens': tokens})
    features[f'added tokens, lower case: {name}'] = ('bytes', {'added_tokens': tokens[:5], 'normalizer': {'type': 'Lowercase'}})
    features[f'added tokens, Prepend: {name}'] = ('prepend', {'added_tokens': [added('<unk>', special=True), *tokens]})
decoder = {
    'none': None, 'ByteLevel': {'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': True, 'use_regex': True}, 'Fuse': {'type': 'Fuse'},
    'ByteFallback': {'type': 'ByteFallback'}, 'Metaspace': mark_words, 'Metaspace never': {**mark_words, 'prepend_scheme': 'never'},
    'WordPiece': {'type': 'WordPiece', 'prefix': '▁', 'cleanup': True}, 'WordPiece untidied': {'type': 'WordPiece', 'prefix': '▁', 'cleanup': False},
    'BPEDecoder': {'type': 'BPEDecoder', 'suffix': 'e'}, 'Replace': {'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '},
    'Replace of an expression': {'type': 'Replace', 'pattern': {'Regex': '[aeiou]+'}, 'content': '*'}, 'Strip': {'type': 'Strip', 'content': '▁', 'start': 1, 'stop': 0},
}
for name, value in decoder.items():
    features[f'decoder {name}'] = ('prepend', {'decoder': value})
around = {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': 'A', 'type_id': 0}}, {'Sequence': {'id': 'A', 'type_id': 0}}, {'SpecialToken': {'id': 'B', 'type_id': 0}}],
          'pair': [], 'special_tokens': {'A': {'id': 'A', 'ids': [1, 2], 'tokens': ['a', 'b']}, 'B': {'id': 'B', 'ids': [0], 'tokens': ['b']}}}
features |= {
    'post-processor template': ('metaspace', {'post_processor': around}),
    'post-processor of RoBERTa': ('metaspace', {'post_processor': {'type': 'RobertaProcessing', 'sep': ['x', 2], 'cls': ['y', 0], 'trim_offsets': True, 'add_prefix_space': True}}),
    'post-processor in sequence': ('metaspace', {'post_processor': {'type': 'Sequence', 'processors': [{'type': 'ByteLevel', 'add_prefix_space': True, 'trim_offsets': False, 'use_regex': True}, around]}}),
}


def clip():
    """BPE with a suffix at the end of words, as CLIP has it."""
    tokenizer = Tokenizer(models.BPE(unk_token='[UNK]', end_of_word_suffix='</w>'))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder()
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=420, special_tokens=['[UNK]'], end_of_word_suffix='</w>', limit_alphabet=60, show_progress=False))
    return saved(tokenizer)


bases['clip'] = clip()
features['suffix at the end of words'] = ('clip', {})
features['suffix and unknown tokens fused'] = ('clip', {'model': {'fuse_unk': True}})


def described(base, changes):
    result = json.loads(json.dumps(bases[base]))
    for name, value in changes.items():
        if name == 'model':
            result['model'] |= value
        elif name == 'added_tokens':
            vocab, following = result['model']['vocab'], len(result['model']['vocab'])
            result[name] = []
            for token in value:
                known = vocab.get(token['content'])
                result[name].append({**token, 'id': following if known is None else known})
                following += known is None
        else:
            result[name] = value
    if changes.get('model', {}).get('byte_fallback') and result['model']['type'] == 'Unigram':
        result['model']['vocab'] += [[token, -20.0] for token in byte_tokens]
    return result


def digest(value):
    return hashlib.sha256(value.encode()).hexdigest()[:4]


cases = {}
for name, (base, changes) in features.items():
    description = described(base, changes)
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.no_truncation()
    encoded = [tokenizer.encode(text).ids for text in texts]
    cases[name] = {
        'base': base, 'changes': {key: description[key] for key in changes if key != 'model'} | ({'model': changes['model']} if 'model' in changes else {}),
        'ids': ''.join(digest(','.join(map(str, ids))) for ids in encoded),
        'text': ''.join(digest(tokenizer.decode(ids, skip_special_tokens=True) + '\n' + tokenizer.decode(ids, skip_special_tokens=False)) for ids in encoded),
    }
    if name == 'Unigram with bytes':
        cases[name]['changes']['model']['vocab'] = description['model']['vocab']


def write(file, value):
    (target / file).write_text(json.dumps(value, ensure_ascii=True, separators=(',', ':')) + '\n')


write('texts.json', texts)
write('tokenizers.json', {'bases': bases, 'cases': cases})
