import { fail, orThrow } from '../text/index.ts'
import type { Decoder } from '../backend/index.ts'
import { uniform, type Shape, type Value } from '../tensor/index.ts'

/** The choice of tokens, and the conditions to stop. */
export interface GenerateOptions {
  readonly maxTokens: number
  /** Ids that end the text; the one that ends it is not included. */
  readonly stop: ReadonlySet<number>
  /** 0 (the default) takes the likeliest token; otherwise tokens are drawn from softmax(logits / temperature). */
  readonly temperature?: number
  /** Equal seeds draw equal texts. */
  readonly seed?: number
}

/** The tokens that are read at once; one program serves every prompt. */
const chunk = 16

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to

/**
 * The positions that a prompt and its continuation need.
 * @example session.decoder({ batch: 1, capacity: capacityFor(40, 60) })
 */
export const capacityFor = (promptTokens: number, maxTokens: number): number =>
  roundUp(roundUp(promptTokens, chunk) + maxTokens, 32)

const likeliest = (logits: Float32Array): number =>
  logits.reduce((best, logit, i) => (logit > logits[best]! ? i : best), 0)

/** Draws an index from softmax(logits / temperature) with a number from [0, 1). */
const sample = (logits: Float32Array, temperature: number, random: number): number => {
  const most = logits.reduce((a, b) => Math.max(a, b), -Infinity)
  const weights = Float64Array.from(logits, logit => Math.exp((logit - most) / temperature))
  let left = random * weights.reduce((a, b) => a + b, 0)
  const found = weights.findIndex(weight => (left -= weight) < 0)
  return found < 0 ? likeliest(logits) : found
}

const ids = (data: Int32Array): Value<Shape, 'i32'> => ({
  shape: ['batch', 'seq'],
  sizes: [1, data.length],
  dtype: 'i32',
  data,
})

/**
 * Reads a prompt in chunks of one length. The last one is padded, and the traces of the padding are forgotten. Returns
 * the last token's logits.
 */
const prefill = async (decoder: Decoder, prompt: readonly number[]): Promise<Float32Array> => {
  for (let start = 0; ; start += chunk) {
    const part = prompt.slice(start, start + chunk)
    const before = decoder.position
    const logits = await decoder.next(ids(Int32Array.from({ length: chunk }, (_, i) => part[i] ?? 0)))
    if (start + chunk < prompt.length) continue
    decoder.rewind(before + part.length)
    const vocab = logits.sizes[2]!
    return logits.data.slice((part.length - 1) * vocab, part.length * vocab)
  }
}

/**
 * Continues a prompt (not empty) token by token, from the decoder's start; ends before a stop token or after
 * `maxTokens`. Errors: logits that are not finite, so that no token is the likeliest.
 * @example for await (const id of generateTokens(decoder, tokenizer.encode('Once'), { maxTokens: 32, stop: tokenizer.stop })) …
 */
export async function* generateTokens(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<number> {
  const { maxTokens, stop, temperature = 0, seed = 0 } = options
  decoder.rewind(0)
  let logits = await prefill(decoder, prompt)
  for (let n = 0; n < maxTokens; n++) {
    if (!logits.every(Number.isFinite)) {
      await orThrow(async () =>
        fail(
          `the logits of token ${n + 1} are not all finite: the numbers of the model are too large for its precision`,
        ),
      )
    }
    const id = temperature > 0 ? sample(logits, temperature, uniform(seed, n, 1)[0]!) : likeliest(logits)
    if (stop.has(id)) return
    yield id
    if (n + 1 < maxTokens) logits = (await decoder.next(ids(Int32Array.of(id)))).data
  }
}
