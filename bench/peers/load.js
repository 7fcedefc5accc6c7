// Peers are found from here, where they are installed.
export const load = (name) => import(name);
