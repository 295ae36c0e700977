import type { Decoder } from '../backend/index.ts'
import { decodeAfter, decodeNext, decodeRest, type Tokenizer } from '../io/index.ts'
import { generateTokens, type GenerateOptions } from './generate.ts'

/** A text with its tokens, and whether a stop token ended it. */
export interface Generated {
  readonly text: string
  readonly ids: readonly number[]
  readonly ended: 'stop' | 'length'
}

/**
 * The continuation of a prompt as text, as it reads after the prompt; `onText` receives it piece by piece, in whole
 * characters.
 * @example const { text } = await generateText(decoder, tokenizer, prompt, { maxTokens: 32, stop: tokenizer.stop })
 */
export const generateText = async (
  decoder: Decoder,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  options: GenerateOptions,
  onText: (piece: string) => void = () => undefined,
): Promise<Generated> => {
  let state = decodeAfter(tokenizer, prompt)
  let text = ''
  const made: number[] = []
  const emit = (piece: string): void => {
    text += piece
    if (piece !== '') onText(piece)
  }
  for await (const id of generateTokens(decoder, prompt, options)) {
    const next = decodeNext(tokenizer, state, id)
    made.push(id)
    state = next.state
    emit(next.text)
  }
  emit(decodeRest(tokenizer, state))
  return { text, ids: made, ended: made.length < options.maxTokens ? 'stop' : 'length' }
}
