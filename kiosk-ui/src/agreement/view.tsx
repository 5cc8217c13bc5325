// Draws a block; compiled for Preact on TV, kiosk and phone and for React on the desk, so no hooks and no styles here.
// Class names: ag, ag-<type>, and u for what is underlined; every page sizes them itself.
import { pieces, type Block } from './blocks';

export function BlockView({ block }: { block: Block }) {
  return (
    <div className={`ag ag-${block.t}`}>
      {block.lines.map((line, i) => (
        <p key={i}>{pieces(line).map((p, k) => (p.strong ? <u key={k} className="u">{p.text}</u> : p.text))}</p>
      ))}
    </div>
  );
}
