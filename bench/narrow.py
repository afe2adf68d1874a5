"""A link to a registry on loopback: so many bytes a second for each connection, so late, and every byte counted.

`narrow.py PORT BYTES_A_SECOND DELAY_SECONDS` (0: unlimited) prints its own port, then, for every line on its stdin, how many
bytes came from the registry since the last one.
"""

import asyncio
import sys
import threading

CHUNK = 64 * 1024
came = 0


async def pump(reader, writer, rate, delay, counts):
    """Reads ahead of what is under way, as a link does; each piece arrives `delay` after it was sent."""
    global came
    loop = asyncio.get_running_loop()
    under_way = asyncio.Queue(maxsize=64)

    async def deliver():
        while (piece := await under_way.get()) is not None:
            due, data = piece
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            writer.write(data)
            await writer.drain()
        writer.close()

    delivery = asyncio.create_task(deliver())
    free = loop.time()
    try:
        while data := await reader.read(CHUNK):
            if counts:
                came += len(data)
            now = loop.time()
            free = max(free, now) + (len(data) / rate if rate else 0)
            await under_way.put((free + delay, data))
            # What the link cannot take yet stays with the sender.
            if free - now > 0.05:
                await asyncio.sleep(free - now - 0.05)
        await under_way.put(None)
        await delivery
    except (ConnectionError, asyncio.CancelledError):
        delivery.cancel()
        writer.close()


async def main(port, rate, delay):
    async def connected(reader, writer):
        from_registry, to_registry = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            pump(reader, to_registry, rate, delay / 2, False),
            pump(from_registry, writer, rate, delay / 2, True),
            return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)

    def answer():
        global came
        for _ in sys.stdin:
            count, came = came, 0
            print(count, flush=True)
        loop.call_soon_threadsafe(server.close)

    loop = asyncio.get_running_loop()
    threading.Thread(target=answer, daemon=True).start()
    await server.wait_closed()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
