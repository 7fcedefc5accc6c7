/**
 * Command lines to run a command under, in a mount namespace of its own: what is mounted in it goes with its last
 * process, however that ends, and with the mounts the loop devices that were made for them.
 */

/** There is a tmpfs on the directory, and what is mounted is seen in the namespaces below, too. */
export function underOwnMounts(directory: string): string[] {
  return under(
    ['unshare', '-m'],
    ['mount --make-rshared /', `mount -t tmpfs -o size=4g tmpfs ${quote(directory)}`],
  );
}

/** As after a reboot. What one expects of that besides, that processes and caches are gone, is not so. */
export function underAnotherBoot(directory: string, bootId: string): string[] {
  const file = quote(`${directory}/boot-id`);
  return under(
    ['unshare', '-m', '--propagation', 'slave'],
    [`echo ${bootId} > ${file}`, `mount --bind ${file} /proc/sys/kernel/random/boot_id`],
  );
}

function under(command: readonly string[], script: readonly string[]): string[] {
  return [...command, 'sh', '-ec', [...script, 'exec "$@"'].join('\n'), 'sh'];
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
