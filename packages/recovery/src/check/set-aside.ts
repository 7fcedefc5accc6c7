/**
 * `.forewrit/set-aside/<n>/`: what a reset of the log has moved out of the way, whole, for whoever wants to look at it. As
 * long as `unfinished` is in there the reset is not done, and is continued by the next one.
 */

export const setAsideName = 'set-aside';
export const unfinishedName = 'unfinished';
