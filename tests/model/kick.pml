/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does an unmapped frame come back? The kicks of p2m_commit() against vcpu_execute() and go_idle()
 * on three CPUs: a guest that computes leaves only for a kick, and with -DBOUND also at its
 * deadline; nobody wakes a CPU that sleeps. epoch.pml proves that the frame does not come back too
 * early, so this model uses no translations, and stores are seen at once.
 *
 * The claim needs weak fairness (pan -a -f): a CPU that can go on does.
 */
#define NCPU 3
#define IDLE 255
#define UNMAPPED 1 /* the epoch of the only unmapping */

bool unmapping, freed;
byte epoch;
byte seen[NCPU] = IDLE;
bool entered[NCPU];	/* p2m.active */
bool kicked[NCPU];	/* an interrupt is pending */

inline kick_others()
{
#ifndef NO_KICK
	d_step {
		kicked[0] = kicked[0] || (c != 0 && entered[0]);
		kicked[1] = kicked[1] || (c != 1 && entered[1]);
		kicked[2] = kicked[2] || (c != 2 && entered[2])
	}
#else
	skip
#endif
}

/* p2m_commit() */
inline commit()
{
	d_step { !unmapping -> unmapping = true }
#ifdef KICK_FIRST
	kick_others();
	epoch = UNMAPPED
#else
	epoch = UNMAPPED;
	kick_others()
#endif
}

/*
 * Interrupts are off in the hypervisor: a kick that comes there ends the next run at once. The
 * guest may make other exits at any time.
 */
inline guest()
{
	if
	:: true
	:: true ->
#ifdef BOUND
		kicked[c] = false
#else
		d_step { kicked[c] -> kicked[c] = false }
#endif
	fi
}

inline step()
{
#ifdef ENTERED_LATE
	entered[c] = false;
	e = epoch;
	seen[c] = e;
	entered[c] = true;
#else
	e = epoch;
	seen[c] = e;
#endif
	guest()
}

/* go_idle() */
inline idle()
{
#ifndef IDLE_COUNTS
	seen[c] = IDLE;
#endif
	if
	:: true -> false /* for ever */
	:: true
	fi;
	e = epoch;
	seen[c] = e
}

proctype Cpu(byte c)
{
	byte e;

	do
	:: commit()
	/* vcpu_execute(): a CPU that stops here has blocked this vCPU, and does not loop for
	   ever */
	:: entered[c] = true;
		step();
		do
		:: commit()
		:: step()
		:: entered[c] = false -> break
		od
	:: idle()
	od
}

/* The tick, on whichever CPU it is due. */
active proctype Drain()
{
	(epoch == UNMAPPED && seen[0] >= UNMAPPED && seen[1] >= UNMAPPED && seen[2] >= UNMAPPED);
	freed = true
}

init
{
	atomic { run Cpu(0); run Cpu(1); run Cpu(2) }
}

ltl comes_back { [] (unmapping -> <> freed) }
