// Dark or light: as the system says, unless the reader chose.
import { computed, effect, signal } from '@preact/signals';
import { q } from './route';

const system = matchMedia('(prefers-color-scheme: dark)');
const systemDark = signal(system.matches);
system.addEventListener('change', (e) => (systemDark.value = e.matches));

const stored = () => {
  try {
    return localStorage.getItem('skyline-looks') ?? '';
  } catch {
    return ''; // storage is switched off
  }
};
const chosen = signal(stored());

export const dark = computed(() => {
  const wanted = q('looks') ?? chosen.value;
  return wanted === 'dark' || (wanted !== 'light' && systemDark.value);
});

export function choose(looks: 'dark' | 'light') {
  chosen.value = looks;
  try {
    localStorage.setItem('skyline-looks', looks);
  } catch {
    // then it lasts as long as the page
  }
}

export const still = matchMedia('(prefers-reduced-motion: reduce)').matches;

effect(() => {
  document.documentElement.dataset.looks = dark.value ? 'dark' : 'light';
});
