"""A clinic in accelerated time: people ask, reserve, cancel and answer; the product's own services serve them.

Nothing here knows how the queue works: it drives the services that pages and workers call, with an injected clock, and
judges from the rows what came of it.
"""
