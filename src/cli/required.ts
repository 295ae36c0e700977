import type { Command, Option } from 'commander'

/**
 * Makes a command complain about a missing option last: an option that it does not know, which is often the missing one
 * with a letter wrong, is named first.
 */
export const requiringLast = (command: Command): Command => {
  const required = command.options.filter(({ mandatory }) => mandatory)
  for (const option of required) option.makeOptionMandatory(false)
  const isMissing = (option: Option): boolean => command.getOptionValue(option.attributeName()) === undefined
  return command.hook('preAction', () => {
    const missing = required.find(isMissing)
    if (missing !== undefined) command.error(`error: required option '${missing.flags}' not specified`)
  })
}
