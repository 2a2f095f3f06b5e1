/* vbg-run: people into another room, in clips, pictures and calls. */
#include "tools/run.h"

int main(int argc, char **argv)
{
    return vbg_run_main(argc, argv, vbg_device_system());
}
