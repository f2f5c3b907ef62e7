// Live updates, keys and time zones on pages that work without them.
"use strict";
(() => {
	const $ = (s, at = document) => at.querySelector(s);
	const $$ = (s, at = document) => [...at.querySelectorAll(s)];
	// The one place where text becomes a page: what our own server rendered.
	const trusted = window.trustedTypes?.createPolicy("wardline", { createHTML: (s) => s }) ?? { createHTML: (s) => s };
	const main = $("main"), fresh = main.dataset.fresh, state = $("#live-state");
	const keep = (k, v) => { try { if (v) localStorage[k] = v; return localStorage[k]; } catch {} };

	// --- time
	let zone = keep("zone") === "local" ? undefined : "UTC";
	const day = (d) => d.toLocaleDateString("en-GB", { timeZone: zone, day: "numeric", month: "short" });
	const since = (ms) => {
		const s = Math.abs(ms) / 1000 | 0;
		const t = s < 60 ? s + " s" : s < 3600 ? (s / 60 | 0) + " min" : s < 172800 ? (s / 3600 | 0) + " h" : (s / 86400 | 0) + " d";
		return ms < 0 ? "in " + t : t + " ago";
	};
	const times = (at) => {
		for (const t of $$("time", at)) {
			const d = new Date(t.dateTime), ago = since(Date.now() - d);
			const exact = d.toLocaleTimeString("en-GB", { timeZone: zone });
			if (t.className === "ago") t.textContent = ago;
			else {
				t.textContent = day(d) === day(new Date()) ? exact : day(d) + " " + exact;
				t.title = t.dateTime + " · " + ago;
			}
		}
	};

	// --- swapping: change what differs, keep nodes, focus and open details
	const morph = (old, now) => {
		if (old.nodeType !== 1) { if (old.data !== now.data) old.data = now.data; return; }
		for (const { name } of [...old.attributes]) if (!now.hasAttribute(name) && name !== "open" && name !== "data-at") old.removeAttribute(name);
		for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
		if (old.matches("input,textarea,select")) return;
		const a = [...old.childNodes], b = [...now.childNodes];
		b.forEach((n, i) => !a[i] ? old.append(n) : a[i].nodeName === n.nodeName ? morph(a[i], n) : a[i].replaceWith(n));
		a.slice(b.length).forEach((n) => n.remove());
	};
	const put = (old, html) => {
		const box = old.cloneNode(false);
		box.innerHTML = trusted.createHTML(html);
		times(box);
		const read = () => $("[data-say]", old)?.textContent, before = read();
		morph(old, box);
		if (before !== read()) say(read());
	};
	let said = 0;
	const say = (text) => {
		if (Date.now() - said < 5000) return;
		said = Date.now();
		$("#say").textContent = text;
	};

	// --- live
	let paused = false, stream, last = Date.now();
	const show = (word, css) => {
		state.hidden = false;
		state.className = "tool live " + css;
		$(".word", state).textContent = word;
	};
	const seen = () => { last = Date.now(); main.classList.remove("stale"); if (!paused) show("Live", "on"); };
	const open = () => {
		stream = new EventSource("/live");
		stream.addEventListener("region", (e) => { const [id, html] = JSON.parse(e.data); put(document.getElementById(id), html); });
		stream.addEventListener("taken", seen);
		stream.addEventListener("trouble", (e) => { show("Trouble", "off"); state.title = JSON.parse(e.data); main.classList.add("stale"); });
		stream.onerror = () => paused || show(stream.readyState > 1 ? "Signed out" : "Reconnecting", "off");
	};
	const poll = async () => {
		if (paused || document.hidden || $("dialog[open]") || /INPUT|TEXTAREA/.test(document.activeElement.tagName)) return;
		try {
			const answer = await fetch(location.href, { headers: { accept: "text/html", "wardline-poll": "1" } });
			if (!answer.ok) throw answer.status;
			const next = $("main", new DOMParser().parseFromString(trusted.createHTML(await answer.text()), "text/html"));
			// A payload that is being read stays.
			const parts = $$("section[id^=trace-],section[id^=live-]", main);
			if (parts.length) for (const part of parts) { const now = $("#" + part.id, next); now && put(part, now.innerHTML); }
			else if (!$("#payload", main)) put(main, next.innerHTML);
			if (next.dataset.fresh === "still") { clearInterval(timer); state.hidden = true; } else seen();
		} catch { show("Reconnecting", "off"); main.classList.add("stale"); }
	};
	let timer;
	if (fresh === "stream") open();
	if (fresh === "poll") { timer = setInterval(poll, 2000); seen(); }
	if (stream || timer) setInterval(() => paused || Date.now() - last < 6000 || main.classList.add("stale"), 2000);
	if (state) state.onclick = () => {
		paused = !paused;
		state.setAttribute("aria-pressed", paused);
		if (paused) { stream?.close(); show("Paused", "off"); } else if (fresh === "stream") open(); else poll();
	};

	// --- the end of a session: what is on the screen goes with it
	const over = () => { main.replaceChildren(); location.replace("/login"); };
	const look = async () => {
		try {
			const answer = await fetch("/api/session", { headers: { "wardline-poll": "1" } });
			if (answer.status === 401) return over();
			setTimeout(look, ((await answer.json()).seconds_left + 1) * 1000);
		} catch { setTimeout(look, 10000); }
	};
	if (main.dataset.idle) setTimeout(look, main.dataset.idle * 1000);

	// --- bar
	const pick = $("#zone");
	if (pick) {
		pick.hidden = false;
		const draw = () => { pick.textContent = zone || "Local"; times(document); };
		pick.onclick = () => { zone = zone ? undefined : "UTC"; keep("zone", zone || "local"); draw(); };
		draw();
		setInterval(() => paused || times(main), 10000);
	}
	for (const b of $$("[data-copy],[data-copy-link]")) {
		b.hidden = false;
		b.onclick = async () => {
			await navigator.clipboard.writeText(b.dataset.copy || location.origin + b.dataset.copyLink);
			b.classList.add("did");
			setTimeout(() => b.classList.remove("did"), 1200);
		};
	}

	// --- keys
	const keys = $("#keys"), off = $("#keys-off"), ask = $("#keys-open");
	if (!keys) return;
	ask.hidden = false;
	ask.onclick = () => keys.showModal();
	off.checked = keep("keys") === "off";
	off.onchange = () => keep("keys", off.checked ? "off" : "on");
	let at = -1, g = false;
	const step = (by) => {
		const rows = $$("[data-row]", main);
		if (!rows.length) return;
		rows[at]?.removeAttribute("data-at");
		at = Math.max(0, Math.min(rows.length - 1, at + by));
		rows[at].setAttribute("data-at", "");
		$("a.name", rows[at])?.focus();
	};
	const acts = {
		"/": () => $("#search")?.focus(), "?": () => keys.showModal(), j: () => step(1), k: () => step(-1),
		r: () => ($("[data-at] [data-replay]", main) || $("[data-replay]", main))?.click(),
	};
	addEventListener("keydown", (e) => {
		if (off.checked || e.ctrlKey || e.metaKey || e.altKey || keys.open || e.target.matches("input,textarea,select")) return;
		const jump = g && { o: "/", m: "/messages", d: "/dead", a: "/audit", p: "/processes", t: "/tasks", b: "/transactions" }[e.key];
		g = e.key === "g";
		if (jump) location = jump; else if (acts[e.key]) acts[e.key](); else return;
		e.preventDefault();
	});
})();
