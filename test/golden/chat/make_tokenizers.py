"""Small tokenizers of the kinds that chat models have, and what `tokenizers` makes of random texts: ids and offsets.

Writes tokenizers/*.json and offsets.json beside itself. Made with tokenizers 0.23.3:

    python make_tokenizers.py [texts a tokenizer, 60 by default] [directory]
"""
import json
import os
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

words = ('the a of and to in is was it for on with as be at by this that from or one had not but what all were when we there can an '
         'your which their if do will each how them then she many some these would other into has more her two like him see time '
         'hello world user assistant system question answer think tool call weather Paris name content role function city Hello '
         "I'm you're they've don't it's 1 2 3 10 2024 naïve café héllo 東京 数学 こんにちは 🙂 👍🏽 := == () {} [] <a> </a> \"x\" 'y' , . ! ? : ;").split()


def corpus():
    draw = random.Random(1)
    return [' '.join(draw.choice(words) for _ in range(draw.randint(2, 9))) for _ in range(1500)]


def fixed(tokenizer):
    """The same tokenizer, in the form that it is saved in."""
    return Tokenizer.from_str(tokenizer.to_str())


llama3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
qwen2 = llama3.replace(r'\p{N}{1,3}', r'\p{N}')


def byte_level(split, specials, normalizer=None, trim=True, prefix=False, plain=()):
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    step = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=split is None)
    tokenizer.pre_tokenizer = step if split is None else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), 'isolated'), step])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=list(specials), show_progress=False))
    tokenizer.add_tokens(list(plain))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix)
    return fixed(tokenizer)


def sentence_piece(metaspace=None, byte_fallback=True, specials=()):
    tokenizer = Tokenizer(models.BPE(byte_fallback=byte_fallback, unk_token='<unk>', fuse_unk=True))
    if metaspace is None:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=metaspace, split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    named = ['<unk>', '<s>', '</s>', *specials]
    bytes_ = [f'<0x{i:02X}>' for i in range(256)] if byte_fallback else []
    pairs = [' '.join(line.split()[i:i + 2]) for line in corpus() for i in range(0, len(line.split()), 2)]
    tokenizer.train_from_iterator(pairs, trainers.BpeTrainer(
        vocab_size=480, special_tokens=named + bytes_, limit_alphabet=70, show_progress=False))
    saved = json.loads(tokenizer.to_str())
    saved['added_tokens'] = [{'id': i, 'content': content, 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False,
                              'special': True} for i, content in enumerate(named)]
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    tokenizer.post_processor = processors.TemplateProcessing(single='<s> $A', pair='<s> $A <s>:1 $B:1', special_tokens=[('<s>', 1)])
    return fixed(tokenizer)


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token='[UNK]'))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=['[UNK]', '[CLS]', '[SEP]'], show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single='[CLS] $A [SEP]', special_tokens=[('[CLS]', 1), ('[SEP]', 2)])
    return fixed(tokenizer)


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always')
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=260, special_tokens=['<unk>', '<s>', '</s>'], unk_token='<unk>', show_progress=False))
    return fixed(tokenizer)


chatml = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
tools = [AddedToken(token, normalized=False) for token in ['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>']]
odd = [AddedToken('<word>', single_word=True, normalized=False), AddedToken('<left>', lstrip=True, normalized=False),
       AddedToken('<right>', rstrip=True, normalized=True)]

kinds = {
    'llama3': lambda: byte_level(llama3, ['<|begin_of_text|>', '<|end_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>', '<|eom_id|>'], plain=odd),
    'qwen': lambda: byte_level(qwen2, chatml, normalizers.NFC(), trim=False, plain=tools),
    'gpt2': lambda: byte_level(None, chatml, prefix=True, plain=odd),
    'prepend': lambda: sentence_piece(specials=['<start_of_turn>', '<end_of_turn>', '<|user|>', '<|assistant|>', '<|system|>', '<|end|>', '[INST]', '[/INST]',
                                                '<｜User｜>', '<｜Assistant｜>', '<｜end▁of▁sentence｜>']),
    'metaspace': lambda: sentence_piece('first', specials=['[INST]', '[/INST]', '[TOOL_CALLS]']),
    'unknown': lambda: sentence_piece('always', byte_fallback=False),
    'wordpiece': word_piece,
    'unigram': unigram,
}

alphabet = list('abcdeinotu ABC  \n\t0123.,!?\'"<>') + [
    'é', 'e\u0301', 'ü', '東', '京', '🙂', '👍🏽', 'İ', 'Σ', 'ß', '½', '٣', '\u00a0', '\u0301', '\u0323', '한', '각', 'ﬁ', 'Å', '\u200b', '▁', 'Ġ', '\r\n',
    '<|im_start|>', '<|im_end|>', '<|eot_id|>', '</s>', '<s>', '<unk>', '[UNK]', '[INST]', '<tool_call>', '<word>', '<left>', '<right>', '<0xE2>',
    ' the', ' hello', 'ing', "'re", ' world', 'assistant']


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    here = sys.argv[2] if len(sys.argv) > 2 else os.path.dirname(os.path.abspath(__file__))
    os.makedirs(os.path.join(here, 'tokenizers'), exist_ok=True)
    draw, result = random.Random(7), {}
    for name, make in kinds.items():
        tokenizer = make()
        path = os.path.join(here, 'tokenizers', f'{name}.json')
        with open(path, 'w', encoding='utf8') as file:
            json.dump(json.loads(tokenizer.to_str()), file, ensure_ascii=False, separators=(',', ':'))
        rows = []
        for _ in range(count):
            text = ''.join(draw.choice(alphabet) for _ in range(draw.randint(1, 24)))
            encoding = tokenizer.encode(text, add_special_tokens=False)
            rows.append([text, encoding.ids, [number for pair in encoding.offsets for number in pair]])
        result[name] = rows
    with open(os.path.join(here, 'offsets.json'), 'w', encoding='utf8') as file:
        file.write('{\n' + ',\n'.join(f'{json.dumps(name)}: [\n' + ',\n'.join(
            json.dumps(row, ensure_ascii=False, separators=(',', ':')) for row in rows) + ']' for name, rows in result.items()) + '\n}\n')


if __name__ == '__main__':
    main()
