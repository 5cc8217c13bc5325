// A picture of this page. A page cannot photograph itself: it draws its own document once more, as an SVG image with the same
// markup and styles, onto a canvas. So it shows what the page meant to show: layout, words, colours, QR codes. It does not show
// video and drawings (there are none outside a visit), its own notice, what the box lays over the browser, or that a screen is off or broken.

const longest = 1280; // px of the picture's longer side
const doc = 'http://www.w3.org/1999/xhtml';

/** All rules of the page's style sheets as text; those of another origin cannot be read. */
function rules(): string {
  const out: string[] = [];
  for (const sheet of Array.from(document.styleSheets)) {
    try {
      for (const rule of Array.from((sheet as CSSStyleSheet).cssRules)) out.push(rule.cssText);
    } catch {
      // not ours
    }
  }
  return out.join('\n');
}

/** A copy of the body with what markup alone does not say, and without what runs, plays or comes from elsewhere. */
function copy(): HTMLElement {
  const now = document.activeElement;
  if (now) now.setAttribute('data-focus', ''); // a state, not markup: the copy has it as one
  const body = document.body.cloneNode(true) as HTMLElement;
  if (now) now.removeAttribute('data-focus');
  const each = <E extends Element>(tag: string, f: (was: E, el: E) => void): void => {
    const was = document.body.querySelectorAll<E>(tag);
    body.querySelectorAll<E>(tag).forEach((el, i) => f(was[i]!, el));
  };
  each<HTMLInputElement>('input', (was, el) => { el.setAttribute('value', el.type === 'password' ? '' : was.value); });
  each<HTMLImageElement>('img', (was, el) => { // ours alone: the picture fetches nothing
    if (/^data:/.test(el.src)) return;
    const c = document.createElement('canvas');
    c.width = was.naturalWidth;
    c.height = was.naturalHeight;
    c.getContext('2d')!.drawImage(was, 0, 0, c.width, c.height);
    el.src = c.toDataURL();
  });
  for (const el of Array.from(body.querySelectorAll('.laid, script, audio, video, canvas, iframe'))) el.remove();
  return body;
}

/** The page as the text of an SVG image of its size. */
export function pageSvg(): string {
  const w = innerWidth;
  const h = innerHeight;
  const root = document.documentElement;
  const html = document.createElementNS(doc, 'html');
  for (const a of Array.from(root.attributes)) html.setAttribute(a.name, a.value);
  const style = document.createElementNS(doc, 'style');
  // the page lies in an SVG here: what hung on the root hangs on the page
  style.textContent = rules().replace(/:root/g, 'html').replace(/:focus/g, '[data-focus]');
  const body = copy();
  html.appendChild(style);
  html.appendChild(body);
  const xml = new XMLSerializer().serializeToString(html).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '');
  const size = getComputedStyle(root).fontSize; // rem counts from the root, which is the svg
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" style="font-size:${size}"><foreignObject x="0" y="0" width="100%" height="100%">${xml}</foreignObject></svg>`;
}

/** A PNG of the page as it is now. */
export function takePicture(): Promise<Blob> {
  return new Promise((ok, no) => {
    const scale = Math.min(1, longest / Math.max(innerWidth, innerHeight));
    const canvas = document.createElement('canvas');
    canvas.width = Math.round(innerWidth * scale);
    canvas.height = Math.round(innerHeight * scale);
    const img = new Image();
    img.onerror = () => no(new Error('picture'));
    img.onload = () => {
      try {
        const c = canvas.getContext('2d')!;
        c.drawImage(img, 0, 0, canvas.width, canvas.height);
        canvas.toBlob((b) => (b ? ok(b) : no(new Error('picture'))), 'image/png');
      } catch (e) { // an engine that lets no page read such a canvas
        no(e as Error);
      }
    };
    img.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(pageSvg())}`; // a blob: address would taint the canvas
  });
}
