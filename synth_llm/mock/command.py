"""`synth-llm mock`: the mock endpoint as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Many = list[str] | None


def mock(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    print_url: Annotated[
        bool, typer.Option("--print-url", help="For scripts: print the URL alone, on the first line.")
    ] = False,
    replies: Annotated[Path | None, typer.Option(help='Lines of {"match": ..., "text": ..., "status": ...}.')] = None,
    latency: Annotated[str, typer.Option(help="200ms, or lognormal:200ms,0.5 (mean, sigma of the log).")] = "0",
    per_token: Annotated[str, typer.Option(help="Added for each token of an answer: 10ms.")] = "0",
    slots: Annotated[int | None, typer.Option(help="Serve so many at once; the rest wait.")] = None,
    rate: Annotated[float | None, typer.Option(help="Requests a second; 429 above.")] = None,
    burst: Annotated[int | None, typer.Option(help="Requests that may come at once; a second's by default.")] = None,
    cap: Annotated[int | None, typer.Option(help="Requests in flight; 429 above.")] = None,
    retry_after: Annotated[bool, typer.Option("--retry-after", help="Send Retry-After with 429.")] = False,
    rate_headers: Annotated[bool, typer.Option("--rate-headers", help="Send x-ratelimit-* headers.")] = False,
    fault: Annotated[
        Many, typer.Option(metavar="KIND=SHARE", help="429=5%; a status, hang, drop, half, garbage.")
    ] = None,
    refuse: Annotated[Many, typer.Option(metavar="PARAMETER", help="Answer 400 to this parameter.")] = None,
    key: Annotated[str | None, typer.Option(help="The API key to ask for; 401 without.")] = None,
) -> None:
    """Serve an OpenAI-compatible endpoint without a model, to try recipes on; Ctrl-C prints what it counted.

    Example: synth-llm mock --slots 64 --latency lognormal:200ms,0.5 --fault 429=5%
    """
    import json
    import signal
    import threading

    from synth_llm.mock.faults import faults
    from synth_llm.mock.server import Mock

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    server = Mock(
        replies=replies,
        latency=latency,
        per_token=per_token,
        slots=slots,
        rate=rate,
        burst=burst,
        cap=cap,
        retry_after=retry_after,
        rate_headers=rate_headers,
        faults=faults(fault or ()),
        refuse=refuse or (),
        key=key,
        host=host,
        port=port,
    )
    with server:
        typer.echo(server.url if print_url else f"the mock endpoint listens: url: {server.url} (Ctrl-C stops it)")
        stop.wait()
        figures = server.stats.figures()
    typer.echo(json.dumps(figures, indent=2))
