import { part } from './value.ts'

/** Capitalizes every word, as Python's `title` does. */
export const title = (text: string): string => {
  let inWord = false
  return Array.from(text, character => {
    const made = inWord ? character.toLowerCase() : titled(character)
    inWord = /\p{Cased}/u.test(character)
    return made
  }).join('')
}
const titled = (character: string): string => {
  const upper = character.toUpperCase()
  return Array.from(upper).length < 2
    ? upper
    : Array.from(upper)[0]! + Array.from(upper).slice(1).join('').toLowerCase()
}

/** Capitalizes the first letter and lowercases the rest. */
export const capitalize = (text: string): string => titled(part(text, 0, 1)) + part(text, 1).toLowerCase()

export const isLower = (text: string): boolean => /\p{Cased}/u.test(text) && !/\p{Uppercase}|\p{Lt}/u.test(text)
export const isUpper = (text: string): boolean => /\p{Cased}/u.test(text) && !/\p{Lowercase}|\p{Lt}/u.test(text)
