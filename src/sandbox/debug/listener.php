// Xdebug connects to this program in its own container. What it says goes out on stdout, what it is told comes in on stdin:
// frames of a connection's number, a length, and so many bytes; a frame of no bytes is the connection's end.
$server = stream_socket_server("tcp://127.0.0.1:" . $argv[1], $number, $why);
if (!$server) {
    fwrite(STDERR, $why);
    exit(1);
}
$frame = function ($id, $bytes) {
    fwrite(STDOUT, pack("NN", $id, strlen($bytes)) . $bytes);
    fflush(STDOUT);
};
// It listens.
$frame(0, "");
[$open, $next, $said] = [[], 1, ""];
while (true) {
    [$ready, $none, $never] = [array_merge([STDIN, $server], array_values($open)), null, null];
    if (stream_select($ready, $none, $never, null) === false) {
        exit(1);
    }
    foreach ($ready as $stream) {
        if ($stream === $server) {
            if ($connection = @stream_socket_accept($server, 0)) {
                $open[$next++] = $connection;
            }
            continue;
        }
        $bytes = fread($stream, 65536);
        $over = $bytes === false || $bytes === "";
        if ($stream !== STDIN) {
            $id = array_search($stream, $open, true);
            $frame($id, $over ? "" : $bytes);
            if ($over) {
                fclose($stream);
                unset($open[$id]);
            }
            continue;
        }
        if ($over) {
            exit(0);
        }
        $said .= $bytes;
        while (strlen($said) >= 8 && strlen($said) >= 8 + ($head = unpack("Nid/Nlength", $said))["length"]) {
            $bytes = substr($said, 8, $head["length"]);
            $said = substr($said, 8 + $head["length"]);
            if (!isset($open[$head["id"]])) {
                continue;
            }
            for ($rest = $bytes; $rest !== ""; $rest = substr($rest, $written)) {
                if (!($written = @fwrite($open[$head["id"]], $rest))) {
                    break;
                }
            }
            if ($bytes === "") {
                fclose($open[$head["id"]]);
                unset($open[$head["id"]]);
            }
        }
    }
}
