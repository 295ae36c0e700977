import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { fail, orThrow, type IoError } from '../text/index.ts'
import { renderChat, type Tokenizer } from '../io/index.ts'
import { capacityFor } from '../train/index.ts'
import { generateText } from '../train/finetune.ts'
import { quantization } from './method.ts'
import { openFrozen, openModel, type FrozenOptions, type PretrainedModel } from './pretrained.ts'

/** The options of `partensor generate`. */
export interface ContinueOptions extends FrozenOptions {
  readonly prompt: string
  readonly maxTokens: number
  /** True if the prompt is a user's message, to be rendered with the chat template. */
  readonly chat: boolean
  readonly temperature: number
  readonly seed: number
}

/** The continuation without the prompt, and its cost. */
export interface ContinueResult {
  readonly event: 'done'
  readonly text: string
  readonly ids: readonly number[]
  readonly ended: 'stop' | 'length'
  readonly promptTokens: number
  readonly seconds: number
}

/**
 * The token ids of a prompt, without an end of sequence at its end, or of a user's message with the assistant's turn
 * opened. Errors: a model without a chat template, a prompt without tokens.
 * @example promptIds(tokenizer, 'Define the word "apple".', true)
 */
export const promptIds = (
  tokenizer: Tokenizer,
  prompt: string,
  chat: boolean,
): E.Either<IoError, readonly number[]> => {
  if (!chat) {
    return pipe(
      tokenizer.encodeWithOffsets(prompt),
      E.flatMap(({ ids, offsets }) => {
        // An end of sequence that the tokenizer puts after every text (with an empty extent) would end the prompt
        // before the answer.
        const isOpen = !(ids.at(-1) === tokenizer.eos && offsets.at(-1)?.[1] === 0)
        const open = isOpen ? ids : ids.slice(0, -1)
        return open.length === 0 ? fail('--prompt is empty') : E.right(open)
      }),
    )
  }
  return tokenizer.chat === undefined
    ? fail('--chat needs a chat template, and the model has none')
    : pipe(
        renderChat(tokenizer.chat, [{ role: 'user', content: prompt }], { addGenerationPrompt: true }),
        E.map(text => tokenizer.encode(text, { special: false })),
      )
}

interface Prompt {
  readonly tokenizer: Tokenizer
  readonly ids: readonly number[]
  readonly stop: ReadonlySet<number>
}

const promptOf = (source: PretrainedModel, { prompt, chat, maxTokens }: ContinueOptions): E.Either<IoError, Prompt> => {
  const {
    tokenizer,
    checkpoint: { config },
  } = source
  if (tokenizer === undefined) return fail('text needs a tokenizer, and the model has none')
  const most = config.max_position_embeddings
  const stop = new Set([...tokenizer.stop, ...config.eos_token_id])
  return pipe(
    promptIds(tokenizer, prompt, chat),
    E.flatMap((ids): E.Either<IoError, Prompt> => {
      const outside = ids.find(id => id >= config.vocab_size)
      if (outside !== undefined)
        return fail(
          `the prompt has the token id ${outside}, but the model's vocabulary has ${config.vocab_size} tokens`,
        )
      return ids.length + maxTokens <= most
        ? E.right({ tokenizer, ids, stop })
        : fail(
            `a prompt of ${ids.length} tokens and --max-tokens ${maxTokens} are more than the model reads: its max_position_embeddings is ${most}`,
          )
    }),
  )
}

/**
 * Continues a prompt; `onText` receives the text as it is generated. Errors are thrown with one sentence.
 * @example const { text } = await continuePrompt({ model, prompt: 'Once', maxTokens: 32, chat: false, temperature: 0, seed: 0, target: 'auto' })
 */
export const continuePrompt = async (
  options: ContinueOptions,
  onText: (piece: string) => void = () => undefined,
): Promise<ContinueResult> => {
  const source = await orThrow(openModel(options.model))
  try {
    const { tokenizer, ids, stop } = await orThrow(async () => promptOf(source, options))
    await using session = await openFrozen(source, options, options.adapter, quantization(options))
    using decoder = session.decoder({ batch: 1, capacity: capacityFor(ids.length, options.maxTokens) })
    const began = performance.now()
    const { maxTokens, temperature, seed } = options
    const generated = await generateText(decoder, tokenizer, ids, { maxTokens, temperature, seed, stop }, onText)
    return { event: 'done', ...generated, promptTokens: ids.length, seconds: (performance.now() - began) / 1000 }
  } finally {
    await source.checkpoint.close()
  }
}
