/**
 * Finds the best segmentation by SentencePiece's unigram language model. Source: huggingface/tokenizers 0.23,
 * models/unigram/model.rs (`encode_optimized`).
 */

/** The penalty, below the lowest score, for a character without a token. */
const unknownPenalty = 10

/** The longest token that begins with a character, in UTF-16 units. */
const longestBy = (tokens: Iterable<string>): ReadonlyMap<number, number> => {
  const longest = new Map<number, number>()
  for (const token of tokens) {
    const first = token.codePointAt(0)
    if (first !== undefined) longest.set(first, Math.max(longest.get(first) ?? 0, token.length))
  }
  return longest
}

/**
 * Cuts words into the tokens whose scores have the greatest sum; if several have it, the one whose last token begins
 * first. Neighbouring characters without a token form one piece.
 * @example unigram([['<unk>', 0], ['a', -1], ['b', -1], ['ab', -1.5]], 0)('abxy') // ['ab', 'xy']
 */
export const unigram = (
  vocab: readonly (readonly [token: string, score: number])[],
  unknown: number,
): ((word: string) => readonly string[]) => {
  const scores = new Map(vocab)
  const longest = longestBy(scores.keys())
  const unknownToken = vocab[unknown]![0]
  const unknownScore = vocab.reduce((least, [, score]) => Math.min(least, score), Infinity) - unknownPenalty
  return word => {
    const best = new Float64Array(word.length + 1)
    const from = new Int32Array(word.length + 1).fill(-1)
    const isUnknown = new Uint8Array(word.length + 1)
    const offer = (begin: number, end: number, score: number, unknown: boolean): void => {
      const sum = score + best[begin]!
      if (from[end]! >= 0 && !(sum > best[end]!)) return
      best[end] = sum
      from[end] = begin
      isUnknown[end] = unknown ? 1 : 0
    }
    for (let begin = 0; begin < word.length;) {
      const first = word.codePointAt(begin)!
      const one = first > 0xffff ? 2 : 1
      let single = false
      for (let length = 1; length <= Math.min(longest.get(first) ?? 0, word.length - begin); length++) {
        const token = word.slice(begin, begin + length)
        const score = scores.get(token)
        if (score === undefined) continue
        offer(begin, begin + length, score, token === unknownToken)
        single ||= length === one
      }
      if (!single) offer(begin, begin + one, unknownScore, true)
      begin += one
    }
    const pieces: string[] = []
    let later = false // whether the piece behind is unknown too
    for (let end = word.length; end > 0; end = from[end]!) {
      const piece = word.slice(from[end]!, end)
      const fused = later && isUnknown[end] === 1
      if (fused) pieces[pieces.length - 1] = piece + pieces.at(-1)!
      else pieces.push(piece)
      later = isUnknown[end] === 1
    }
    return pieces.toReversed()
  }
}
