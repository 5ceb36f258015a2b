"""What the browser tests of the pages share: starting a server, and looking for texts that are hard to read."""


def start(page, label=None):
    """Choose a profile, press Start and wait for the pending page."""
    if label:
        page.check(label)
    page.click(".rs-start button")
    page.wait_for_url("**/spawn-pending/**")


CONTRAST = """() => {
  const parse = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => { const f = [r, g, b].map((v) => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll("main *")) {
    const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!(says || e.matches("input:not([type=range]), select")) || !e.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push([e.className || e.tagName, e.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return bad;
}"""
