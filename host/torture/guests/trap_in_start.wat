;; Gives up before there is an instance.
(func $start unreachable)
(start $start)
