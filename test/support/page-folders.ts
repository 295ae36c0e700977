import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { drawClasses, preparedViT } from './class-folders.ts'
import { root, type Page } from './pages.ts'

// The files that the commands of a page find: a small model with a tokenizer and a chat template, and the data files
// that the page shows; for a page about images a small classifier, and images of three colours.

/** GPT-2's character for every byte: printable ones stand for themselves, the others are moved to 256 and up. */
const byteCharacters = ((): readonly string[] => {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
  let next = 256
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++))
})()

const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']

/** A byte-level tokenizer without merges, as tokenizer.json has it. */
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  normalizer: null,
  post_processor: null,
  added_tokens: special.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: '',
    end_of_word_suffix: '',
    fuse_unk: false,
    vocab: Object.fromEntries([...special, ...byteCharacters].map((token, id) => [token, id])),
    merges: [],
  },
}

const chatTemplate = [
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}",
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
].join('')

/** Data files that a page shows: JSON lines behind a paragraph that ends with their name, as in "`train.jsonl`:". */
export const filesOf = ({ blocks }: Page): ReadonlyMap<string, string> =>
  new Map(
    blocks.flatMap(({ language, before, source }) => {
      const name = language === 'json' ? /`([\w-]+\.jsonl)`:$/.exec(before)?.[1] : undefined
      return name === undefined ? [] : [[name, source] as const]
    }),
  )

/** Makes such a folder for a page, and removes it in the end. */
export const inFolderOf = async (page: Page, use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'partensor-page-'))
  const model = path.join(folder, 'model')
  try {
    await mkdir(model)
    for (const part of ['config.json', 'model.safetensors']) {
      await cp(path.join(root, 'test/golden/llama-tiny', part), path.join(model, part))
    }
    await writeFile(path.join(model, 'tokenizer.json'), JSON.stringify(tokenizer))
    await writeFile(
      path.join(model, 'tokenizer_config.json'),
      JSON.stringify({ bos_token: '<|im_start|>', eos_token: '<|im_end|>', chat_template: chatTemplate }),
    )
    if (page.blocks.some(({ language, source }) => language === 'sh' && source.includes('--model classifier'))) {
      await preparedViT(path.join(folder, 'classifier'))
      await drawClasses(path.join(folder, 'train'), 10)
      await drawClasses(path.join(folder, 'held-out'), 5)
    }
    for (const [name, source] of filesOf(page)) await writeFile(path.join(folder, name), source)
    await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
