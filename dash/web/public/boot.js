// Before the page's program is here: asks for the sweep that the address names, so that both come at once.
(() => {
  const part = /^#\/sweeps\/([^/?]+)/.exec(location.hash);
  if (!part) return;
  let sweep = part[1];
  try {
    sweep = decodeURIComponent(sweep);
  } catch {
    return;
  }
  const schema = fetch(`/api/v1/sweeps/${encodeURIComponent(sweep)}`).then((r) => (r.ok ? r.json() : null), () => null);
  globalThis.skylineBoot = { sweep, schema };
})();
